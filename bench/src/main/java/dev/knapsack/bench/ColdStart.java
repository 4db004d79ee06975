package dev.knapsack.bench;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.kernel.AttentionShape;
import dev.knapsack.kernel.Kernels;
import dev.knapsack.kernel.KvSpan;
import dev.knapsack.kernel.MatrixProducts.Tokens;
import dev.knapsack.kernel.ScalarKernels;
import dev.knapsack.kernel.Scratch;
import dev.knapsack.kernel.x86.X86Kernels;
import dev.knapsack.os.ExecutableMemory;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Supplier;

/**
 * Opens the provider in machine code and uses it once with each format, in a JVM that has done
 * nothing else: for {@link Assembly}, which starts it.
 *
 * <p>Bytes are counted where the code lies: in the pages of this process that may be executed and
 * were mapped from nothing, up to the last byte of each page that is not zero. Pages of the JVM's
 * own code may be written too, and so are others.
 */
final class ColdStart {
  /** The label of the JVM's own cost of its first native call. */
  static final String FIRST_CALL = "a return alone: the JVM's first native call";

  private static final int COLUMNS = 256;
  private static final int ROWS = 8;
  private static final int TOKENS = 16;
  private static final int HEADS = 4;
  private static final int HEAD_SIZE = 64;
  private static final int PAGE = 4096;
  private static final byte RETURN = (byte) 0xC3;

  private final Operands operands = new Operands();
  private final JsonArray steps = new JsonArray();
  private long bytes;

  private ColdStart() {}

  public static void main(String[] args) throws IOException {
    JsonObject line = new JsonObject();
    line.add("steps", new ColdStart().run());
    System.out.println(line);
  }

  private JsonArray run() throws IOException {
    Kernels others = ScalarKernels.open();
    // What the JVM needs to call the first native function of all is not the kernels' doing.
    step(FIRST_CALL, () -> first(operands.memory(8)));
    Kernels kernels = step("every model: quantising, activation", () -> X86Kernels.open(others));
    Scratch scratch = Operands.scratch(kernels, TOKENS, COLUMNS, HEADS, 1, HEAD_SIZE);
    Scratch attention = Operands.scratch(kernels, TOKENS, COLUMNS, HEADS, 1, HEAD_SIZE);
    for (Format format : Formats.cache()) {
      if (HEAD_SIZE % format.blockValues() != 0) {
        continue;
      }
      KvSpan[] spans = {AttentionBenchmark.span(operands, format, HEAD_SIZE, KvLayout.PAGE_TOKENS)};
      Matrix q = operands.empty(Formats.F32, 1, HEADS * HEAD_SIZE);
      AttentionShape shape =
          new AttentionShape(HEADS, HEADS, HEAD_SIZE, HEAD_SIZE, 0.125f, 0, 0, true, null);
      step(
          "attention over " + format.name(),
          () -> {
            kernels
                .attention()
                .attend(shape, q, KvLayout.PAGE_TOKENS - 1, spans, 0, q, 0, 1, attention);
            return kernels;
          });
    }
    for (Format format : Formats.all()) {
      if (COLUMNS % format.blockValues() != 0) {
        continue;
      }
      // All zeros are zeros in every format.
      Matrix w = operands.empty(format, ROWS, COLUMNS);
      Matrix one = operands.activations(kernels, format, 1, COLUMNS);
      Matrix many = operands.activations(kernels, format, TOKENS, COLUMNS);
      Matrix out = operands.empty(Formats.F32, TOKENS, ROWS);
      Matrix first = operands.empty(Formats.F32, 1, ROWS);
      step(
          "products with " + format.name(),
          () -> {
            kernels.products().matmul(w, one, Tokens.ALONE, first, 0, ROWS, scratch);
            kernels.products().matmul(w, many, Tokens.TOGETHER, out, 0, ROWS, scratch);
            return kernels;
          });
    }
    operands.free();
    return steps;
  }

  /** Maps one instruction, and calls it. */
  private static MemorySegment first(MemorySegment argument) {
    MemorySegment code = ExecutableMemory.of(new byte[] {RETURN}, Arena.global());
    MethodHandle call =
        Linker.nativeLinker()
            .downcallHandle(
                code, FunctionDescriptor.ofVoid(ValueLayout.ADDRESS), Linker.Option.critical(true));
    try {
      call.invokeExact(argument);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new LinkageError("generated code", e);
    }
    return code;
  }

  /** Takes the time of what may generate code, and tells of it if it did. */
  private <T> T step(String what, Supplier<T> work) throws IOException {
    long before = System.nanoTime();
    T result = work.get();
    double milliseconds = (System.nanoTime() - before) / 1e6;
    long now = executableBytes();
    if (now > bytes) {
      JsonObject step = new JsonObject();
      step.addProperty("what", what);
      step.addProperty("milliseconds", milliseconds);
      step.addProperty("bytes", now - bytes);
      steps.add(step);
    }
    bytes = now;
    return result;
  }

  private static long executableBytes() throws IOException {
    long bytes = 0;
    for (String line : Files.readAllLines(Path.of("/proc/self/maps"))) {
      // from-to, rights, offset, device, inode: 0 where there is no file, and then no name
      String[] fields = line.strip().split(" +", -1);
      if (fields.length > 5 || !fields[1].startsWith("r-x") || !fields[4].equals("0")) {
        continue;
      }
      String[] range = fields[0].split("-", -1);
      long from = Long.parseUnsignedLong(range[0], 16);
      long to = Long.parseUnsignedLong(range[1], 16);
      MemorySegment pages = MemorySegment.ofAddress(from).reinterpret(to - from);
      for (long page = 0; page < to - from; page += PAGE) {
        long end = page + PAGE;
        while (end > page && pages.get(ValueLayout.JAVA_BYTE, end - 1) == 0) {
          end--;
        }
        bytes += end - page;
      }
    }
    return bytes;
  }
}
