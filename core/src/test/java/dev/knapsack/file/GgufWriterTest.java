package dev.knapsack.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.TestData;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class GgufWriterTest {
  private static final BigInteger LARGEST = new BigInteger("18446744073709551615");

  @TempDir Path folder;

  @Test
  void everyTypeOfValueComesBack() {
    Path path = folder.resolve("values.gguf");
    MetadataBuilder metadata =
        new MetadataBuilder()
            .string("string", "grüße 🎒")
            .string("empty", "")
            .flag("flag", true)
            .put("uint8", ValueType.UINT8, 255)
            .put("int8", ValueType.INT8, -128)
            .put("uint16", ValueType.UINT16, 65535)
            .put("int16", ValueType.INT16, -32768)
            .put("uint32", ValueType.UINT32, 4294967295L)
            .put("int32", ValueType.INT32, Integer.MIN_VALUE)
            .put("uint64", ValueType.UINT64, Long.MAX_VALUE)
            .put("unsigned", ValueType.UINT64, LARGEST)
            .put("int64", ValueType.INT64, Long.MIN_VALUE)
            .put("float32", ValueType.FLOAT32, 1.5)
            .put("float64", ValueType.FLOAT64, Math.PI)
            .strings("strings", List.of("a", "", "日本", "x".repeat(100_000)))
            .integers("integers", -1, 0, 7)
            .reals("reals", 0.25f, -3f)
            .flags("flags", true, false)
            .strings("no strings", List.of());
    try (GgufWriter writer = GgufWriter.create(path, metadata.build(path), List.of())) {
      writer.finish();
    }
    try (ModelFile file = ModelFile.open(path)) {
      Metadata back = file.metadata();
      assertThat(back.all()).isEqualTo(metadata.build(path).all());
      assertThat(((PackedMetadata) back).types())
          .isEqualTo(((PackedMetadata) metadata.build(path)).types());
      assertThat(back.string("string")).isEqualTo("grüße 🎒");
      assertThat(back.integer("uint8")).isEqualTo(255);
      assertThat(back.integer("int8")).isEqualTo(-128);
      assertThat(back.integer("uint32")).isEqualTo(4294967295L);
      assertThat(back.integer("int64")).isEqualTo(Long.MIN_VALUE);
      assertThat(back.all()).containsEntry("unsigned", LARGEST);
      assertThatThrownBy(() -> back.integer("unsigned"))
          .hasMessageContaining("must be an integer, and is 18446744073709551615");
      assertThat(back.real("float64")).isEqualTo(Math.PI);
      assertThat(back.flag("flag")).isTrue();
      assertThat(back.integers("integers")).containsExactly(-1, 0, 7);
      assertThat(back.integers("uint8")).containsExactly(255);
      assertThat(back.reals("reals")).containsExactly(0.25f, -3f);
      assertThat(back.integers("flags")).containsExactly(1, 0);
      assertThat(back.strings("strings")).hasSize(4).contains("日本");
      assertThatThrownBy(() -> back.integer("string"))
          .isInstanceOf(ModelFileException.class)
          .hasMessageContaining("must be an integer, and is the string 'grüße");
      assertThatThrownBy(() -> back.string("nowhere"))
          .isInstanceOf(ModelFileException.class)
          .hasMessageContaining("nowhere: is missing");
    }
  }

  @ParameterizedTest
  @CsvSource({"4-2-1, 4-2", "4-2-3-1, 4-2-3", "4-2-1-1, 4-2", "4-1-1, 4-1", "4-1-3, 4-1-3", "4, 4"})
  void dimensionsOfOneAtTheEndAreLeftOut(String written, String read) {
    Path path = folder.resolve("dimensions.gguf");
    TensorInfo tensor = new TensorInfo("t", Formats.F32, shape(written));
    try (GgufWriter writer =
            GgufWriter.create(path, new MetadataBuilder().build(path), List.of(tensor));
        Arena arena = Arena.ofConfined()) {
      writer.write(tensor, arena.allocate(tensor.bytes()));
      writer.finish();
    }
    try (ModelFile file = ModelFile.open(path)) {
      assertThat(file.tensors().get("t").shape()).isEqualTo(shape(read));
    }
  }

  private static List<Long> shape(String dimensions) {
    return Arrays.stream(dimensions.split("-")).map(Long::valueOf).toList();
  }

  @Test
  void aValueOutOfRangeIsRefused() {
    assertThatThrownBy(() -> new MetadataBuilder().put("k", ValueType.UINT8, 256))
        .hasMessage("k: 256 does not fit UINT8");
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama_q4_k_m", "gpt-oss_mxfp4", "gemma3", "qwen3moe"})
  void aCopyHoldsTheSameTensors(String model) throws IOException {
    Path original = TestData.path("golden/" + model + "/model.gguf");
    Path copy = folder.resolve("copy.gguf");
    try (ModelFile from = ModelFile.open(original)) {
      copy(from, copy, 12_345);
      try (ModelFile to = ModelFile.open(copy);
          Arena arena = Arena.ofConfined()) {
        assertThat(to.metadata().all()).isEqualTo(from.metadata().all());
        assertThat(to.tensors()).isEqualTo(from.tensors());
        for (TensorInfo tensor : from.tensors().values()) {
          assertThat(bytes(to, tensor, arena).mismatch(bytes(from, tensor, arena))).isEqualTo(-1);
          assertThat(to.alignment(tensor, 0) % 32).isZero();
        }
      }
    }
    assertThat(Files.list(folder)).containsExactly(copy);
  }

  @Test
  void anUnfinishedFileLeavesNothingAndKeepsWhatWasThere() throws IOException {
    Path path = folder.resolve("model.gguf");
    Files.writeString(path, "before");
    TensorInfo tensor = new TensorInfo("t", Formats.F32, List.of(4L));
    Metadata none = new MetadataBuilder().build(path);
    try (GgufWriter writer = GgufWriter.create(path, none, List.of(tensor))) {
      writer.write(tensor, MemorySegment.ofArray(new byte[12]));
      assertThatThrownBy(writer::finish).hasMessage("t has 12 of its 16 bytes");
      assertThatThrownBy(() -> writer.write(tensor, MemorySegment.ofArray(new byte[5])))
          .hasMessage("5 bytes more for t, which has 12 of 16");
    }
    assertThat(Files.list(folder)).containsExactly(path);
    assertThat(path).hasContent("before");
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 10, 200})
  void aFullDiskLeavesNothing(int room) throws IOException {
    Path path = folder.resolve("model.gguf");
    TensorInfo tensor = new TensorInfo("t", Formats.F32, List.of(100L));
    Metadata none = new MetadataBuilder().build(path);
    assertThatThrownBy(
            () -> {
              try (GgufWriter writer =
                  GgufWriter.create(
                      path, none, List.of(tensor), part -> new FullDisk(part, room))) {
                writer.write(tensor, MemorySegment.ofArray(new byte[400]));
                writer.finish();
              }
            })
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining("cannot be written, and nothing of it was left behind: No space");
    assertThat(Files.list(folder)).isEmpty();
  }

  @Test
  void aLinkStaysOne() throws IOException {
    Path file = Files.writeString(folder.resolve("model.gguf"), "before");
    Path link = Files.createSymbolicLink(folder.resolve("link.gguf"), file);
    try (GgufWriter writer =
        GgufWriter.create(link, new MetadataBuilder().build(link), List.of())) {
      writer.finish();
    }
    assertThat(link).isSymbolicLink();
    assertThat(Files.readString(file)).startsWith("GGUF");
    assertThat(Files.list(folder)).containsExactlyInAnyOrder(file, link);
  }

  @Test
  void whatIsNoFileIsNotReplaced() throws IOException {
    for (String there : new String[] {folder.toString(), "/dev/null", "/dev/full"}) {
      if (Files.exists(Path.of(there))) {
        assertThatThrownBy(() -> FilePlace.of(Path.of(there)))
            .isInstanceOf(ModelFileException.class)
            .hasMessageContaining(there + ": file: cannot be written: a ");
      }
    }
    assertThatThrownBy(() ->
            GgufWriter.create(folder, new MetadataBuilder().build(folder), List.of()).finish())
        .isInstanceOf(ModelFileException.class);
    assertThat(Files.list(folder)).isEmpty();
  }

  static void copy(ModelFile from, Path to, long piece) {
    try (GgufWriter writer = GgufWriter.create(to, from.metadata(), from.tensors().values());
        Arena arena = Arena.ofConfined()) {
      for (TensorInfo tensor : from.tensors().values()) {
        for (long done = 0; done < tensor.bytes(); done += piece) {
          MemorySegment bytes = arena.allocate(Math.min(piece, tensor.bytes() - done));
          from.read(tensor, done, bytes);
          writer.write(tensor, bytes);
        }
      }
      writer.finish();
    }
  }

  static MemorySegment bytes(ModelFile file, TensorInfo tensor, Arena arena) {
    MemorySegment bytes = arena.allocate(tensor.bytes());
    file.read(tensor, 0, bytes);
    return bytes;
  }

  /** A file on a disk with {@code room} bytes left. */
  private static final class FullDisk implements SeekableByteChannel {
    private final FileChannel file;
    private int room;

    FullDisk(Path path, int room) throws IOException {
      this.file = FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
      this.room = room;
    }

    @Override
    public int write(ByteBuffer bytes) throws IOException {
      if (bytes.remaining() > room) {
        throw new IOException("No space left on device");
      }
      room -= bytes.remaining();
      return file.write(bytes);
    }

    @Override
    public int read(ByteBuffer into) throws IOException {
      return file.read(into);
    }

    @Override
    public long position() throws IOException {
      return file.position();
    }

    @Override
    public SeekableByteChannel position(long position) throws IOException {
      return file.position(position);
    }

    @Override
    public long size() throws IOException {
      return file.size();
    }

    @Override
    public SeekableByteChannel truncate(long size) throws IOException {
      return file.truncate(size);
    }

    @Override
    public boolean isOpen() {
      return file.isOpen();
    }

    @Override
    public void close() throws IOException {
      file.close();
    }
  }
}
