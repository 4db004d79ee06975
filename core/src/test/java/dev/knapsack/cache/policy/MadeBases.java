package dev.knapsack.cache.policy;

import dev.knapsack.cache.Companion;
import dev.knapsack.cache.HeadBases;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvPool;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.kernel.Reduction;
import dev.knapsack.tensor.Formats;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/** Orthogonal directions of each head, by its numbers. */
final class MadeBases implements HeadBases {
  /** A policy that has been given these, if it lacks such. */
  static KvPolicy given(KvPolicy policy) {
    return policy.lacks().contains(FILE)
        ? policy.with(
            new Companion.Reader() {
              @Override
              public <T> T read(Companion<T> kind) {
                return kind.content().cast(new MadeBases());
              }
            })
        : policy;
  }

  /** Lets a pool know them, in memory that lasts. */
  static void tell(KvPool pool) {
    KvLayout layout = pool.layout();
    layout
        .policy()
        .bounds()
        .bases()
        .ifPresent(bases ->
            pool.bases(bases.read(layout, Arena.ofAuto().allocate(bases.bytes(layout), 64))));
  }

  /** All directions of a head, as many as it has numbers. */
  static double[][] rows(int layer, int kvHead, boolean keys, int size) {
    var random = new SplittableRandom(layer * 100L + kvHead * 10L + (keys ? 1 : 0));
    double[][] rows = new double[size][size];
    for (int i = 0; i < size; i++) {
      for (int c = 0; c < size; c++) {
        rows[i][c] = random.nextGaussian();
      }
      for (int j = 0; j <= i; j++) {
        double product = 0;
        for (int c = 0; c < size; c++) {
          product += rows[i][c] * rows[j][c];
        }
        for (int c = 0; c < size; c++) {
          rows[i][c] = j < i ? rows[i][c] - product * rows[j][c] : rows[i][c] / Math.sqrt(product);
        }
      }
    }
    return rows;
  }

  @Override
  public String identity() {
    return "made";
  }

  @Override
  public long bytes(KvLayout layout) {
    long numbers = 0;
    for (int l = 0; l < layout.layers().size(); l++) {
      LayerLayout.Heads heads = layout.heads(l);
      numbers +=
          (long) heads.kvHeads() * layout.heldOfKeys(l) * heads.keySize()
              + (long) heads.kvHeads() * layout.heldOfValues(l) * heads.valueSize();
    }
    return 4 * numbers;
  }

  @Override
  public List<List<Head>> read(KvLayout layout, MemorySegment memory) {
    List<List<Head>> layers = new ArrayList<>();
    long at = 0;
    for (int l = 0; l < layout.layers().size(); l++) {
      LayerLayout.Heads layer = layout.heads(l);
      List<Head> heads = new ArrayList<>();
      for (int h = 0; layer.window() == 0 && h < layer.kvHeads(); h++) {
        int keys = layout.heldOfKeys(l);
        int values = layout.heldOfValues(l);
        MemorySegment keysAt = memory.asSlice(at);
        at += 4L * keys * layer.keySize();
        MemorySegment valuesAt = memory.asSlice(at);
        at += 4L * values * layer.valueSize();
        heads.add(
            new Head(
                reduction(rows(l, h, true, layer.keySize()), keys, keysAt),
                reduction(rows(l, h, false, layer.valueSize()), values, valuesAt)));
      }
      layers.add(heads);
    }
    return layers;
  }

  private static @Nullable Reduction reduction(double[][] rows, int held, MemorySegment memory) {
    if (held == rows.length) {
      return null;
    }
    for (int i = 0; i < held; i++) {
      for (int c = 0; c < rows.length; c++) {
        memory.setAtIndex(ValueLayout.JAVA_FLOAT, (long) i * rows.length + c, (float) rows[i][c]);
      }
    }
    Matrix directions = new Matrix(Formats.F32, held, rows.length, memory);
    return new Reduction.Directions(directions, directions);
  }
}
