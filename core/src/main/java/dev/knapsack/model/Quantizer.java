package dev.knapsack.model;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.GgufWriter;
import dev.knapsack.file.Metadata;
import dev.knapsack.file.MetadataBuilder;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Lease;
import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.model.arch.Families;
import dev.knapsack.tensor.Format;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Writes a model file anew with its matrices in another format, a few rows at a time, whatever the
 * model's size.
 *
 * <p>Vectors, norms, biases and routers become F32. A matrix whose rows are no whole blocks of the
 * format asked for becomes Q8_0, or F16 where even that does not fit; the report says so. Tensors
 * that have their format already are copied. Rows of queries and keys are put where GGUF's
 * definition of the architecture has them, wherever the model had them.
 */
public final class Quantizer {
  /** Float32 bytes that are converted in one piece, unless a single row or head has more. */
  private static final long PIECE = 8 << 20;

  private final FormatChoice choice;
  private final ModelFile source;
  private final RowOrder order;
  private final List<Conversion> conversions = new ArrayList<>();

  /**
   * A tensor before and after.
   *
   * @param to under the same name, in another format perhaps
   * @param wanted the format that was asked for; {@code to} has another if its rows do not fit
   */
  public record Conversion(TensorInfo from, TensorInfo to, Format wanted) {
    /** Says whether the tensor could not have the format that was asked for. */
    public boolean fellBack() {
      return !to.format().equals(wanted);
    }
  }

  /**
   * Plans the conversion of a model; nothing is read or written yet.
   *
   * @param format of the matrices
   * @param output of the output projection (the token embedding, where it is that too); null for
   *     the usual: Q6_K where {@code format} has fewer bits
   */
  public Quantizer(ModelFile source, Format format, @Nullable Format output) {
    this.source = source;
    order = RowOrder.of(source);
    Map<String, TensorSpec> declared =
        Families.supports(source) ? WeightLayout.declared(Families.spec(source)) : Map.of();
    Map<TensorInfo, Role> roles = new LinkedHashMap<>();
    for (TensorInfo tensor : source.tensors().values()) {
      TensorSpec known = declared.get(tensor.name());
      roles.put(tensor, known == null ? FormatChoice.guess(tensor) : known.role());
    }
    choice = FormatChoice.of(format, output, roles.containsValue(Role.EXPERTS));
    boolean tied = !roles.containsValue(Role.OUTPUT);
    for (Map.Entry<TensorInfo, Role> entry : roles.entrySet()) {
      TensorInfo tensor = entry.getKey();
      boolean isOutput = tied && tensor.name().equals(ModelSpec.EMBEDDING);
      Format wanted = choice.wanted(entry.getValue(), isOutput);
      Format fitting = FormatChoice.fitting(wanted, tensor.shape().getFirst());
      conversions.add(
          new Conversion(tensor, new TensorInfo(tensor.name(), fitting, tensor.shape()), wanted));
    }
  }

  /** All tensors, in file order. */
  public List<Conversion> conversions() {
    return List.copyOf(conversions);
  }

  /** Bytes of all tensors once converted. */
  public long bytes() {
    return conversions.stream().mapToLong(c -> c.to().bytes()).sum();
  }

  /** Bytes of memory that {@link #write} leases: some megabytes. */
  public long memory() {
    long most = 0;
    for (Conversion conversion : conversions) {
      most = Math.max(most, new Piece(conversion, order.headRows(conversion.from())).memory());
    }
    return Account.charged(most);
  }

  /**
   * Writes the file, which appears when it is whole; a failure leaves none.
   *
   * @param account leases {@link #memory()} bytes while it writes
   * @param team shares the encoding
   * @throws IllegalArgumentException if the target is the model itself
   * @throws ModelFileException if the model cannot be read, or the file cannot be written, such as
   *     for a full disk
   */
  public void write(Path target, Account account, WorkerTeam team, Progress progress) {
    refuseSource(target);
    Metadata metadata =
        order
            .written(new MetadataBuilder(source.ggufMetadata()))
            .integer("general.file_type", FormatChoice.fileType(choice.experts()))
            .integer("general.quantization_version", 2)
            .build(target);
    long total = bytes();
    long done = 0;
    List<TensorInfo> tensors = conversions.stream().map(Conversion::to).toList();
    try (Lease memory = account.lease(memory());
        GgufWriter writer = GgufWriter.create(target, metadata, tensors)) {
      for (Conversion conversion : conversions) {
        Piece piece = new Piece(conversion, order.headRows(conversion.from()));
        TensorInfo to = conversion.to();
        for (long row = 0; row < piece.rows; row += piece.rowsAtOnce) {
          progress.at(to.name(), done + row * piece.toRowBytes, total);
          long rows = Math.min(piece.rowsAtOnce, piece.rows - row);
          writer.write(to, piece.convert(source, row, rows, memory.segment(), team));
        }
        done += to.bytes();
      }
      progress.at("finish", done, total);
      writer.finish();
    }
  }

  private void refuseSource(Path target) {
    try {
      for (Path file : source.files()) {
        if (Files.exists(target) && Files.isSameFile(target, file)) {
          throw new IllegalArgumentException(
              target + " is the model that is to be converted; give the new file another name");
        }
      }
    } catch (IOException e) {
      throw new ModelFileException(target, "file", "cannot be looked at: " + e, e);
    }
  }

  /** Rows of a tensor that go at once, in memory meanwhile. */
  private static final class Piece {
    private final TensorInfo from;
    private final TensorInfo to;
    private final int headRows;
    private final long columns;
    private final long rows;
    private final long rowsAtOnce;
    private final long fromRowBytes;
    private final long toRowBytes;

    /**
     * @param headRows rows that are put in another order among themselves; 1 for none
     */
    Piece(Conversion conversion, int headRows) {
      from = conversion.from();
      to = conversion.to();
      this.headRows = headRows;
      // Of a bias, each number belongs to a row.
      columns = headRows > 1 && from.shape().size() == 1 ? 1 : from.shape().getFirst();
      rows = columns == 0 ? 0 : from.values() / columns;
      long fitting = Math.clamp(PIECE / Math.max(1, columns * Float.BYTES), 1, Math.max(1, rows));
      rowsAtOnce = Math.max(headRows, fitting / headRows * headRows);
      fromRowBytes = from.format().bytes(columns);
      toRowBytes = to.format().bytes(columns);
    }

    /** Room for what is read, the same as float32, and what is written. */
    long memory() {
      return plainOffset() + rowsAtOnce * (columns * Float.BYTES + toRowBytes);
    }

    private long plainOffset() {
      long read = WeightLayout.SECTOR + rowsAtOnce * fromRowBytes;
      return (read + 63) / 64 * 64;
    }

    MemorySegment convert(
        ModelFile source, long row, long count, MemorySegment memory, WorkerTeam team) {
      long place = WeightLayout.place(0, source.alignment(from, row * fromRowBytes));
      MemorySegment read = memory.asSlice(place, count * fromRowBytes);
      source.read(from, row * fromRowBytes, read);
      boolean same = from.format().equals(to.format());
      if (same && headRows == 1) {
        return read;
      }
      long plainRowBytes = columns * Float.BYTES;
      MemorySegment plain = memory.asSlice(plainOffset(), count * plainRowBytes);
      MemorySegment written =
          memory.asSlice(plainOffset() + rowsAtOnce * plainRowBytes, count * toRowBytes);
      team.run(
          (int) Math.min(count, 64),
          (part, parts, worker) -> {
            for (long r = count * part / parts; r < count * (part + 1) / parts; r++) {
              long at = RowOrder.halved(r, headRows) * fromRowBytes;
              if (same) {
                MemorySegment.copy(read, at, written, r * toRowBytes, toRowBytes);
              } else {
                from.format().decode(read, at, plain, r * plainRowBytes, columns);
                to.format().encode(plain, r * plainRowBytes, written, r * toRowBytes, columns);
              }
            }
          });
      return written;
    }
  }
}
