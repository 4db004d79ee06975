package dev.knapsack.text;

import dev.knapsack.file.PackedTokens;
import java.util.Arrays;

/**
 * A unigram language model: of all ways to write a piece in tokens, the one whose scores have the
 * greatest sum (Kudo, "Subword Regularization", 2018).
 */
final class Unigram implements PieceModel {
  /** The score that an unknown character loses against the worst token. */
  private static final double PENALTY = 10;

  private final ModelTokens tokens;
  private final ModelTokens steering;
  private final double[] scores;
  private final double unknownScore;
  private final Unknown unknown;

  /** The tokens of bytes that no token has; empty if there are none. */
  private final int[] byteTokens;

  private Unigram(
      Component component, ModelTokens tokens, ModelTokens steering, double[] scores, int unknown) {
    this.tokens = tokens;
    this.steering = steering;
    this.scores = scores;
    this.unknown = new Unknown(unknown, component);
    unknownScore = Arrays.stream(scores).min().orElse(0) - PENALTY;
    byteTokens = component.flag("byte_fallback", false) ? tokens.bytes() : new int[0];
  }

  static Unigram read(
      Component component, ModelTokens tokens, ModelTokens steering, double[] scores) {
    int unknown = component.count("unk_id", -1);
    if (unknown >= scores.length) {
      throw component.wrong(
          "unk_id", unknown + " is not in the vocabulary, which has " + scores.length + " tokens");
    }
    return new Unigram(component, tokens, steering, scores, unknown);
  }

  @Override
  public Encoder encoder(boolean steers) {
    return new Lattice(steers ? steering : tokens);
  }

  @Override
  public boolean keepsAll(boolean ofBytes) {
    return byteTokens.length > 0 && Arrays.stream(byteTokens).allMatch(id -> id >= 0);
  }

  private final class Lattice implements Encoder {
    private final ModelTokens known;
    private final ByteList bytes = new ByteList(64);

    /** Of the best way to write what ends at a byte: its score, and its last token. */
    private double[] best = new double[64];

    private int[] last = new int[64];

    /** The byte at which that last token begins; -1 if there is no way. */
    private int[] begins = new int[64];

    Lattice(ModelTokens known) {
      this.known = known;
    }

    @Override
    public void encode(String piece, IntList into) {
      bytes.clear();
      bytes.add(piece, 0, piece.length());
      int size = bytes.size();
      if (best.length <= size) {
        best = new double[size + 1];
        last = new int[size + 1];
        begins = new int[size + 1];
      }
      Arrays.fill(begins, 0, size + 1, -1);
      best[0] = 0;
      for (int from = 0; from < size; from += width(from)) {
        extend(piece, from, size);
      }
      collect(piece, size, into);
    }

    private void extend(String piece, int from, int size) {
      int width = width(from);
      int most = Math.min(size, from + known.longest());
      int hash = PackedTokens.hash();
      boolean alone = false;
      for (int to = from + 1; to <= most; to++) {
        hash = PackedTokens.hash(hash, bytes.array()[to - 1]);
        if (to < size && isContinuation(to)) {
          continue;
        }
        int token = known.find(hash, bytes.array(), from, to);
        if (token >= 0) {
          offer(from, to, token, scores[token]);
          alone |= to == from + width;
        }
      }
      if (!alone) {
        int end = from + width;
        if (begins[end] < 0 || unknownScore + best[from] > best[end]) {
          offer(from, end, unknown.token(piece), unknownScore);
        }
      }
    }

    private void offer(int from, int to, int token, double score) {
      double sum = score + best[from];
      if (begins[to] < 0 || sum > best[to]) {
        best[to] = sum;
        last[to] = token;
        begins[to] = from;
      }
    }

    private void collect(String piece, int size, IntList into) {
      // From the end: unknown characters that touch are one.
      IntList reversed = new IntList();
      for (int to = size; to > 0; ) {
        int from = begins[to];
        if (last[to] != unknown.id()) {
          reversed.add(last[to]);
        } else {
          while (from > 0 && last[from] == unknown.id()) {
            from = begins[from];
          }
          unknown(piece, from, to, reversed);
        }
        to = from;
      }
      int[] found = reversed.toArray();
      for (int i = found.length - 1; i >= 0; i--) {
        into.add(found[i]);
      }
    }

    private void unknown(String piece, int from, int to, IntList reversed) {
      int token = known.find(bytes.array(), from, to);
      boolean falls = token < 0 && byteTokens.length > 0;
      for (int i = from; i < to && falls; i++) {
        falls = byteTokens[bytes.array()[i] & 0xFF] >= 0;
      }
      if (!falls) {
        reversed.add(token >= 0 ? token : unknown.token(piece));
        return;
      }
      for (int i = to - 1; i >= from; i--) {
        reversed.add(byteTokens[bytes.array()[i] & 0xFF]);
      }
    }

    private boolean isContinuation(int at) {
      return (bytes.array()[at] & 0xC0) == 0x80;
    }

    private int width(int at) {
      int b = bytes.array()[at] & 0xFF;
      return b < 0x80 ? 1 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4;
    }
  }
}
