package dev.knapsack.kernel.x86;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Every generated function, read again by {@code objdump}; skipped where that is not installed. */
class GeneratedCodeTest {
  /** Those of {@link Assembler} that are no {@link Instruction}. */
  private static final List<String> GENERAL =
      List.of(
          "mov",
          "movzx",
          "lea",
          "add",
          "sub",
          "and",
          "cmp",
          "shl",
          "shr",
          "push",
          "pop",
          "ret",
          "prefetcht0",
          "cpuid",
          "xgetbv",
          "nop",
          // of a register with itself: how objdump calls a nop of two bytes
          "xchg",
          "jmp",
          "jb",
          "jae",
          "je",
          "jne");

  private static final Set<String> NAMES =
      Stream.concat(Arrays.stream(Instruction.values()).map(Encodings::name), GENERAL.stream())
          .collect(Collectors.toSet());

  /** Place, name, operands; what objdump adds behind a {@code #} is the place of a constant. */
  private static final Pattern LINE =
      Pattern.compile(" *([0-9a-f]+):\t(?:\\{\\w+} )?(\\S+) *([^#]*)(?:# 0x([0-9a-f]+))?");

  private static final Pattern PREDICATE = Pattern.compile("vcmp\\w+ps");

  @TempDir static Path folder;

  private record Line(long place, String name, String operands, long constant) {
    boolean jump() {
      return name.startsWith("j");
    }

    long target() {
      return Long.parseLong(operands.substring(2), 16);
    }
  }

  static Stream<Arguments> functions() {
    Map<String, byte[]> functions = new LinkedHashMap<>();
    functions.put("cpuid", Cpu.code());
    for (Isa isa : Isa.values()) {
      for (Compute.Precision precision : Compute.Precision.values()) {
        functions.put("ones %s, %s".formatted(precision, isa), OnesCode.code(isa, precision));
      }
    }
    for (Arranger.Order order : Arranger.Order.values()) {
      functions.put("arrange " + order, Arranger.code(order));
    }
    for (Activation activation : ActivationCode.ALL) {
      functions.put(activation + ", gated", ActivationCode.code(activation, true));
      functions.put(activation.name(), ActivationCode.code(activation, false));
    }
    functions.put("add", RowOperationCode.add());
    functions.put("norm", RowOperationCode.norm(false, true, false));
    functions.put("layer norm", RowOperationCode.norm(true, true, true));
    functions.put("quantise", Quantiser.code());
    functions.put("attention softmax", AttentionCode.softmax());
    for (Format format : Formats.cache()) {
      PageCode page = Objects.requireNonNull(PageCode.of(format.name()), format.name());
      functions.put("decode " + format.name(), AttentionCode.decode(page));
      functions.put("attention scores " + format.name(), AttentionCode.scores(page));
      functions.put("attention values " + format.name(), AttentionCode.addValues(page));
    }
    for (Isa isa : Isa.values()) {
      Formats.weights().forEach(format -> addProducts(functions, format, isa));
    }
    return functions.entrySet().stream().map(f -> Arguments.of(f.getKey(), f.getValue()));
  }

  private static void addProducts(Map<String, byte[]> functions, Format format, Isa isa) {
    String name = "%s, %s".formatted(isa, format.name());
    if (FloatTile.has(format.name())) {
      for (int tokens = 1; tokens <= FloatTile.mostTokens(isa); tokens++) {
        for (int rows = 1; rows <= FloatTile.mostRows(isa, tokens); rows++) {
          byte[] code = FloatTile.code(format.name(), isa, rows, tokens);
          functions.put("%s, %d × %d".formatted(name, rows, tokens), code);
        }
      }
    }
    RowCode row = RowCode.of(format.name());
    if (row == null) {
      return;
    }
    functions.put(name, RowDot.code(row, isa));
    functions.put(name + ", pack", Packer.code(row, isa));
    Tile tile = row.tile(isa);
    for (int tokens = 1; tokens <= TileProduct.mostTokens(tile); tokens++) {
      functions.put(name + " × " + tokens, TileProduct.code(tile, tokens));
    }
  }

  /**
   * Up to its return a function is instructions that were meant; jumps stay within it and hit an
   * instruction; constants lie behind it.
   */
  @ParameterizedTest(name = "{0}")
  @MethodSource("functions")
  void isWhatWasMeant(String function, byte[] code) throws IOException, InterruptedException {
    List<Line> lines = disassembled(code);
    assertThat(lines).extracting(Line::name).isSubsetOf(NAMES);
    Line last = lines.getLast();
    assertThat(last.name()).isEqualTo("ret");
    Set<Long> places = lines.stream().map(Line::place).collect(Collectors.toSet());
    Set<Long> constants = new TreeSet<>();
    for (Line line : lines) {
      if (line.jump()) {
        assertThat(places).as("%s at %x", line.name(), line.place()).contains(line.target());
      }
      if (line.constant() >= 0) {
        constants.add(line.constant());
      }
    }
    if (constants.isEmpty()) {
      assertThat(code).hasSize((int) last.place() + 1);
    } else {
      assertThat(constants)
          .allMatch(c -> c > last.place() && c <= code.length - Float.BYTES && c % 4 == 0);
    }
  }

  /** The lines up to the first return. */
  private static List<Line> disassembled(byte[] code) throws IOException, InterruptedException {
    Path file = Files.write(folder.resolve("function"), code);
    List<Line> lines = new ArrayList<>();
    for (String text : objdump(file).split("\n")) {
      Matcher line = LINE.matcher(text);
      if (line.matches()) {
        lines.add(
            new Line(
                Long.parseLong(line.group(1), 16),
                PREDICATE.matcher(line.group(2)).replaceFirst("vcmpps"),
                line.group(3).strip(),
                line.group(4) == null ? -1 : Long.parseLong(line.group(4), 16)));
        if (lines.getLast().name().equals("ret")) {
          break;
        }
      }
    }
    assertThat(lines).as("what objdump wrote").isNotEmpty();
    return lines;
  }

  private static String objdump(Path file) throws IOException, InterruptedException {
    ProcessBuilder command =
        new ProcessBuilder(
            "objdump",
            "--disassemble-all",
            "--disassembler-options=intel",
            "--no-show-raw-insn",
            "--target=binary",
            "--architecture=i386:x86-64",
            file.toString());
    Process process;
    try {
      process = command.redirectErrorStream(true).start();
    } catch (IOException e) {
      assumeTrue(false, "objdump of GNU binutils is not installed: " + e.getMessage());
      throw e;
    }
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    int status = process.waitFor();
    assumeTrue(
        status == 0 || !output.contains("i386:x86-64"), "objdump is not for x86-64: " + output);
    assertThat(status).as(output).isZero();
    return output;
  }
}
