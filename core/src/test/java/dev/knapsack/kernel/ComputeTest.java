package dev.knapsack.kernel;

import static dev.knapsack.kernel.Operands.assertSame;
import static dev.knapsack.kernel.Operands.floats;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.BudgetExceededException;
import dev.knapsack.kernel.Compute.Precision;
import dev.knapsack.memory.Account;
import dev.knapsack.memory.Budget;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class ComputeTest {
  private static final KernelLimits LIMITS = new KernelLimits(40, 512, 8, 4, 64);

  private static final List<Matrix> WEIGHTS =
      Stream.of(Formats.F32, Formats.Q4_0, Formats.Q6_K)
          .map(format -> new Operands(12).encoded(format, 301, 512))
          .toList();

  static Stream<Arguments> kinds() {
    return KernelProvider.here().stream()
        .flatMap(p -> Stream.of(Precision.values()).map(precision -> Arguments.of(p, precision)));
  }

  @ParameterizedTest
  @MethodSource("kinds")
  void resultsDoNotDependOnTheNumberOfWorkers(KernelProvider provider, Precision precision) {
    for (int tokens : new int[] {1, 3, 37}) {
      List<float[]> expected = results(provider, precision, 1, tokens);
      for (int workers : new int[] {2, 3, 8}) {
        List<float[]> actual = results(provider, precision, workers, tokens);
        for (int i = 0; i < expected.size(); i++) {
          assertSame(actual.get(i), expected.get(i));
        }
      }
    }
  }

  /** Some tokens of each head. */
  private static KvSpan[][] part(KvSpan[][] heads, int from, int to) {
    return Arrays.stream(heads)
        .map(spans -> new KvSpan[] {spans[0].part(from, to)})
        .toArray(KvSpan[][]::new);
  }

  @ParameterizedTest
  @MethodSource("kinds")
  void tokensThatComeInPiecesAreMetAsIfTheyWereTogether(
      KernelProvider provider, Precision precision) {
    for (int tokens : new int[] {1, 3, 37}) {
      Operands operands = new Operands(tokens);
      Account account = Budget.of("16MiB").account("activations");
      try (WorkerTeam team = new WorkerTeam(2);
          Compute compute =
              new Compute(provider.open().kernels(), team, precision, LIMITS, account)) {
        Matrix x = operands.floats(tokens, 512);
        for (MemorySegment sinks : new MemorySegment[] {null, operands.floats(1, 8).data()}) {
          AttentionShape shape = new AttentionShape(8, 2, 64, 64, 0.1f, 0, 0, true, sinks);
          KvSpan[][] all = spans(operands, 700);
          Matrix whole = operands.poisoned(tokens, 512);
          compute.attention(shape, List.of(new Queries(x, 700 - tokens, all, whole)));
          Matrix out = operands.poisoned(tokens, 512);
          List<KvSpan[][]> pieces =
              List.of(part(all, 0, 64), part(all, 64, 640), part(all, 640, 700));
          compute.attention(
              shape, List.of(new Queries(x, 700 - tokens, pieces.iterator(), true, out)));
          if (provider == KernelProvider.SCALAR) {
            Operands.assertClose(out, whole, 1e-12);
          } else {
            assertSame(out, whole);
          }
        }
      }
    }
  }

  /** Where codes of all heads do not fit, too, and whatever rows are multiplied as if alone. */
  @ParameterizedTest
  @EnumSource
  void headsAreMultipliedByMatricesOfTheirOwn(KernelProvider provider) {
    Operands operands = new Operands(11);
    KernelLimits narrow = new KernelLimits(9, 128, 8, 4, 64);
    for (Precision precision : Precision.values()) {
      for (Format format : List.of(Formats.F32, Formats.Q8_0)) {
        try (WorkerTeam team = new WorkerTeam(3);
            Compute compute =
                new Compute(
                    provider.open().kernels(),
                    team,
                    precision,
                    narrow,
                    Budget.of("16MiB").account("activations"))) {
          for (int rows : new int[] {1, 2, 9}) {
            List<Matrix> w =
                IntStream.range(0, 5).mapToObj(h -> operands.encoded(format, 40, 64)).toList();
            Matrix x = operands.floats(5 * rows, 64);
            Matrix together = operands.poisoned(5 * rows, 40);
            Matrix each = operands.poisoned(5 * rows, 40);
            compute.alone(rows == 9 ? 2 : Compute.AS_FITS);
            compute.matmulHeads(w, x, together);
            for (int h = 0; h < 5; h++) {
              int from = h * rows;
              compute.matmul(w.get(h), x.rows(from, from + rows), each.rows(from, from + rows));
            }
            assertSame(together, each);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void sequencesOfAStepGetWhatEachGetsAlone(KernelProvider provider) {
    Operands operands = new Operands(5);
    AttentionShape shape = new AttentionShape(8, 2, 64, 64, 0.1f, 0, 0, true, null);
    record Sequence(Matrix rows, List<KvSpan[][]> pieces, int length, boolean divisible) {
      Queries queries(Matrix out) {
        return new Queries(rows, length - rows.rows(), pieces.iterator(), divisible, out);
      }
    }
    KvSpan[][] two = spans(operands, 130);
    KvSpan[][] lengthy = spans(operands, 5000);
    List<Sequence> sequences =
        List.of(
            new Sequence(
                operands.floats(1, 512), List.<KvSpan[][]>of(spans(operands, 70)), 70, true),
            new Sequence(operands.floats(1, 512), List.<KvSpan[][]>of(lengthy), 5000, true),
            new Sequence(
                operands.floats(37, 512), List.<KvSpan[][]>of(spans(operands, 40)), 40, false),
            new Sequence(
                operands.floats(3, 512), List.of(part(two, 0, 64), part(two, 64, 130)), 130, true),
            new Sequence(operands.floats(1, 512), List.<KvSpan[][]>of(lengthy), 5000, false));
    for (int workers : new int[] {1, 3}) {
      try (WorkerTeam team = new WorkerTeam(workers);
          Compute compute =
              new Compute(
                  provider.open().kernels(),
                  team,
                  Precision.FLOAT,
                  LIMITS,
                  Budget.of("16MiB").account("activations"))) {
        List<Matrix> together = new ArrayList<>();
        sequences.forEach(s -> together.add(operands.poisoned(s.rows().rows(), 512)));
        List<Queries> all = new ArrayList<>();
        for (int i = 0; i < sequences.size(); i++) {
          all.add(sequences.get(i).queries(together.get(i)));
        }
        compute.attention(shape, all);
        for (int i = 0; i < sequences.size(); i++) {
          Matrix alone = operands.poisoned(sequences.get(i).rows().rows(), 512);
          compute.attention(shape, List.of(sequences.get(i).queries(alone)));
          assertThat(floats(together.get(i))).as("%d", i).isEqualTo(floats(alone));
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("kinds")
  void scratchThatTheHeapHasNoRoomForIsRefused(KernelProvider provider, Precision precision) {
    Kernels kernels = provider.open().kernels();
    KernelLimits large = new KernelLimits(1, 32, 1, 1, 1 << 28);
    Account account = Budget.ofBytes(Long.MAX_VALUE).account("activations");
    try (WorkerTeam team = new WorkerTeam(1)) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> new Compute(kernels, team, precision, large, account))
          .withMessageContaining("1 thread(s) compute in")
          .withMessageContaining("let fewer compute, or start Java with a larger heap (-Xmx)");
    }
    assertThat(account.used()).isZero();
  }

  private static List<float[]> results(
      KernelProvider provider, Precision precision, int workers, int tokens) {
    Operands operands = new Operands(tokens);
    List<float[]> results = new ArrayList<>();
    Account account = Budget.of("16MiB").account("activations");
    try (WorkerTeam team = new WorkerTeam(workers);
        Compute compute =
            new Compute(provider.open().kernels(), team, precision, LIMITS, account)) {
      Matrix x = operands.floats(tokens, 512);
      Matrix up = operands.floats(tokens, 512);
      Compute.Input input = compute.input(x);
      for (Matrix weights : WEIGHTS) {
        Matrix out = operands.poisoned(tokens, 301);
        compute.matmul(weights, input, out);
        results.add(floats(out));
      }
      Matrix out = operands.poisoned(tokens, 512);
      compute.rmsNorm(x, operands.floats(1, 512).data(), 512, 1e-5f, out);
      results.add(floats(out));
      compute.gatedActivation(Activation.SILU, x, up, out);
      compute.add(out, up);
      compute.rope(
          out,
          64,
          Rope.plain(Rope.Pairs.HALF_SPLIT, 64, 1e4),
          operands.random().ints(tokens, 0, 99).toArray());
      results.add(floats(out));
      AttentionShape shape = new AttentionShape(8, 2, 64, 64, 0.1f, 0, 20, true, null);
      compute.attention(shape, List.of(new Queries(x, 50 - tokens, spans(operands, 50), out)));
      results.add(floats(out));
      KvSpan[][] pieces = spans(operands, 300);
      Iterator<KvSpan[][]> two = List.of(part(pieces, 0, 64), part(pieces, 64, 300)).iterator();
      compute.attention(shape, List.of(new Queries(x, 300 - tokens, two, true, out)));
      results.add(floats(out));
      // So many that workers share the positions of a row that is alone.
      int length = tokens == 1 ? 5000 : 300;
      AttentionShape all = new AttentionShape(8, 2, 64, 64, 0.1f, 0, 0, true, null);
      compute.attention(
          all, List.of(new Queries(x, length - tokens, spans(operands, length), out)));
      results.add(floats(out));
    }
    assertThat(account.used()).isZero();
    return results;
  }

  /** Two heads of 64 numbers; pages repeat. */
  private static KvSpan[][] spans(Operands operands, int length) {
    KvSpan[][] heads = new KvSpan[2][1];
    for (int h = 0; h < 2; h++) {
      long page = 2L * 64 * 64 * Float.BYTES;
      MemorySegment memory = operands.floats(3 * 2 * 64, 64).data();
      long[] pages = new long[Math.ceilDiv(length, 64)];
      Arrays.setAll(pages, i -> i % 3 * page);
      heads[h][0] =
          new KvSpan(
              Formats.F32, Formats.F32, 64, memory, pages, page / 2, length, 0, KvSpan.NO_GAPS);
    }
    return heads;
  }

  /** A cache that one row meets in parts gives what the definition gives in one. */
  @ParameterizedTest
  @EnumSource
  void longCachesMeetARowInParts(KernelProvider provider) {
    Operands operands = new Operands(3);
    KvSpan[][] spans = spans(operands, 5000);
    AttentionShape shape =
        new AttentionShape(8, 2, 64, 64, 0.1f, 0, 4500, true, operands.floats(1, 8, 2).data());
    Matrix q = operands.floats(1, 512);
    Matrix out = operands.poisoned(1, 512);
    Matrix expected = operands.poisoned(1, 512);
    Kernels definition = KernelProvider.SCALAR.open().kernels();
    for (int head = 0; head < 2; head++) {
      Scratch scratch = Operands.scratch(definition, LIMITS);
      definition.attention().attend(shape, q, 4999, spans[head], head, expected, 0, 1, scratch);
    }
    Account account = Budget.of("16MiB").account("activations");
    try (WorkerTeam team = new WorkerTeam(2);
        Compute compute =
            new Compute(provider.open().kernels(), team, Precision.FLOAT, LIMITS, account)) {
      compute.attention(shape, List.of(new Queries(q, 4999, spans, out)));
    }
    assertThat(floats(out)).usingComparatorWithPrecision(1e-5f).containsExactly(floats(expected));
  }

  @ParameterizedTest
  @EnumSource
  void theAccountPaysForAllScratchMemory(KernelProvider provider) {
    Kernels kernels = provider.open().kernels();
    for (Precision precision : Precision.values()) {
      long bytes = Compute.scratchBytes(kernels, 3, precision, LIMITS);
      try (WorkerTeam team = new WorkerTeam(3)) {
        Account enough = Budget.ofBytes(bytes).account("activations");
        try (Compute compute = new Compute(kernels, team, precision, LIMITS, enough)) {
          assertThat(enough.used()).isEqualTo(bytes);
          Matrix tooWide = new Operands(1).floats(1, 544);
          assertThatThrownBy(() -> compute.input(tooWide))
              .isInstanceOf(IllegalArgumentException.class)
              .hasMessageContaining("40 × 512");
        }
        assertThat(enough.used()).isZero();
        Account few = Budget.ofBytes(bytes - 4096).account("activations");
        assertThatThrownBy(() -> new Compute(kernels, team, precision, LIMITS, few))
            .isInstanceOf(BudgetExceededException.class);
        assertThat(few.used()).isZero();
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void eightBitActivationsAreCloseToFloatOnes(KernelProvider provider) {
    Operands operands = new Operands(2);
    Matrix x = operands.floats(5, 512);
    Matrix w = operands.encoded(Formats.Q8_0, 64, 512);
    List<float[]> results = new ArrayList<>();
    for (Precision precision : Precision.values()) {
      Matrix out = operands.poisoned(5, 64);
      try (WorkerTeam team = new WorkerTeam(2);
          Compute compute =
              new Compute(
                  provider.open().kernels(),
                  team,
                  precision,
                  LIMITS,
                  Budget.of("16MiB").account("activations"))) {
        compute.matmul(w, x, out);
      }
      results.add(floats(out));
    }
    Operands.assertClose(results.get(1), results.get(0), 1e-3);
    assertThat(results.get(1)).isNotEqualTo(results.get(0));
  }
}
