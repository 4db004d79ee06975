package dev.knapsack.engine;

import dev.knapsack.constraint.Cursor;
import dev.knapsack.error.KnapsackException.Kind;
import dev.knapsack.error.LogitsException;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.Sampling;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/**
 * Chooses tokens from logits as a {@link Sampling} says; one for each sequence, because it holds
 * the state of its random numbers.
 *
 * <p>Equal likelihoods count in the order of token ids, and one random number is drawn for each
 * token that is not greedy, so that a seed fixes the answer. Nothing is sorted but the tokens that
 * a cut lets through.
 */
final class Sampler {
  private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED;

  /**
   * Precision in which the end of a nucleus is first found: a 32nd of a logit, down to 64 below the
   * highest.
   */
  private static final int BINS_PER_LOGIT = 32;

  private static final int BINS = 64 * BINS_PER_LOGIT;

  private final Sampling sampling;
  private final int vocabulary;
  private final long seed;
  private final OptionalInt logProbabilities;
  private final SplittableRandom random;

  /** Candidates, each as its logit in sortable bits above its id turned round. */
  private long[] candidates = new long[0];

  private double[] weights = new double[0];
  private int[] window = new int[0];

  /** Logits that bias and penalties change: the tokens, and what is to be put back. */
  private int[] changed = new int[0];

  private float[] original = new float[0];
  private int changes;

  /** The tokens that may be chosen now, where not all may. */
  private long @Nullable [] mask;

  /**
   * @param vocabulary tokens that may be chosen, the first of those that have logits
   * @param logProbabilities of how many alternatives, and of the token, they are wanted
   */
  Sampler(Sampling sampling, int vocabulary, long seed, OptionalInt logProbabilities) {
    for (int token : sampling.logitBias().keySet()) {
      if (token >= vocabulary) {
        throw new IllegalArgumentException(
            "Logit bias for token " + token + ": the vocabulary has " + vocabulary + " tokens.");
      }
    }
    this.sampling = sampling;
    this.vocabulary = vocabulary;
    this.seed = seed;
    this.logProbabilities = logProbabilities;
    this.random = new SplittableRandom(seed);
  }

  /** One like this, at its beginning, that never chooses a token. */
  Sampler without(int token) {
    Map<Integer, Float> bias = new HashMap<>(sampling.logitBias());
    if (token < vocabulary) {
      bias.put(token, Float.NEGATIVE_INFINITY);
    }
    return new Sampler(sampling.withLogitBias(bias), vocabulary, seed, logProbabilities);
  }

  long seed() {
    return seed;
  }

  /**
   * The next token of those that a language lets follow: what it forbids is chosen as if its logit
   * were negative infinity, before anything is cut off. Its log-probability is that of the model's
   * own distribution.
   *
   * @param cursor the place in the language; null where any token may follow
   * @throws dev.knapsack.error.ConstraintException if none may; else as the others
   */
  Event.Token sample(
      MemorySegment logits, long offset, int columns, Tokens history, @Nullable Cursor cursor) {
    double draw = sampling.temperature() == 0 ? 0 : random.nextDouble();
    return sample(logits, offset, columns, history, draw, cursor);
  }

  /**
   * The next token.
   *
   * @param logits F32 from byte {@code offset}, which are the same again afterwards
   * @param columns how many there are
   * @param history the tokens of the sequence so far
   * @throws LogitsException if no token can be chosen: a logit is NaN or infinite, or all are
   *     forbidden
   */
  Event.Token sample(MemorySegment logits, long offset, int columns, Tokens history) {
    return sample(logits, offset, columns, history, null);
  }

  /**
   * The next token by this draw, a number from 0 to 1, in place of one of its own; all else as
   * {@link #sample(MemorySegment, long, int, Tokens)}.
   */
  Event.Token sample(MemorySegment logits, long offset, int columns, Tokens history, double draw) {
    return sample(logits, offset, columns, history, draw, null);
  }

  private Event.Token sample(
      MemorySegment logits,
      long offset,
      int columns,
      Tokens history,
      double draw,
      @Nullable Cursor cursor) {
    int token;
    changes = 0;
    try {
      sampling
          .logitBias()
          .forEach((id, bias) -> change(logits, offset, id, get(logits, offset, id) + bias));
      if (sampling.penalises()) {
        penalise(logits, offset, history);
      }
      token = choose(logits, offset, draw, cursor);
    } finally {
      mask = null;
      while (changes > 0) {
        changes--;
        set(logits, offset, changed[changes], original[changes]);
      }
    }
    return logProbabilities.isPresent()
        ? measured(token, logits, offset, columns)
        : Event.Token.of(token);
  }

  /** A token and its alternatives with their log-probabilities, after what was said before. */
  private Event.Token measured(int token, MemorySegment logits, long offset, int columns) {
    float max = Float.NEGATIVE_INFINITY;
    for (int i = 0; i < columns; i++) {
      max = Math.max(max, get(logits, offset, i));
    }
    double sum = 0;
    for (int i = 0; i < columns; i++) {
      sum += Math.exp(get(logits, offset, i) - (double) max);
    }
    double all = max + Math.log(sum);
    List<Event.Alternative> alternatives = new ArrayList<>();
    int wanted = logProbabilities.orElse(0);
    int count = wanted == 0 ? 0 : select(logits, offset, wanted);
    for (int i = 0; i < count; i++) {
      alternatives.add(new Event.Alternative(token(candidates[i]), logit(candidates[i]) - all));
    }
    return new Event.Token(
        token, OptionalDouble.of(get(logits, offset, token) - all), List.copyOf(alternatives));
  }

  private int choose(MemorySegment logits, long offset, double u, @Nullable Cursor cursor) {
    boolean greedy = sampling.temperature() == 0;
    if (cursor != null && !greedy) {
      mask = cursor.mask();
    }
    int best = likeliest(logits, offset);
    if (cursor != null && greedy && !cursor.allows(best)) {
      mask = cursor.mask(); // which is seldom needed: what a model would rather write may come
      best = likeliest(logits, offset);
    }
    if (greedy) {
      return best;
    }
    float max = get(logits, offset, best);
    boolean cut = sampling.topK() > 0 && sampling.topK() < vocabulary;
    if (!cut && sampling.topP() == 1) {
      return drawFromAll(logits, offset, max, u);
    }
    int kept;
    if (cut) {
      kept = select(logits, offset, sampling.topK());
      if (sampling.topP() < 1) {
        kept = nucleus(kept, max, mass(kept, max));
      }
    } else {
      kept = nucleusOfAll(logits, offset, max);
    }
    return drawFromCandidates(kept, max, u);
  }

  private void penalise(MemorySegment logits, long offset, Tokens history) {
    int length =
        sampling.penaltyWindow() < 0
            ? history.size()
            : Math.min(history.size(), sampling.penaltyWindow());
    if (window.length < length) {
      window = new int[Math.max(length, 2 * window.length)];
    }
    for (int i = 0; i < length; i++) {
      window[i] = history.get(history.size() - length + i);
    }
    // Sorting the window finds each token's count without a table as long as the vocabulary.
    Arrays.sort(window, 0, length);
    for (int i = 0; i < length; ) {
      int token = window[i];
      int count = 0;
      while (i < length && window[i] == token) {
        i++;
        count++;
      }
      float logit = get(logits, offset, token);
      logit =
          logit > 0 ? logit / sampling.repetitionPenalty() : logit * sampling.repetitionPenalty();
      change(
          logits,
          offset,
          token,
          logit - sampling.presencePenalty() - count * sampling.frequencyPenalty());
    }
  }

  private void change(MemorySegment logits, long offset, int token, float logit) {
    if (changes == changed.length) {
      changed = Arrays.copyOf(changed, Math.max(16, 2 * changes));
      original = Arrays.copyOf(original, changed.length);
    }
    changed[changes] = token;
    original[changes] = get(logits, offset, token);
    changes++;
    set(logits, offset, token, logit);
  }

  private int likeliest(MemorySegment logits, long offset) {
    int best = -1;
    float max = Float.NEGATIVE_INFINITY;
    for (int token = 0; token < vocabulary; token++) {
      float logit = allowed(logits, offset, token);
      if (logit > max) {
        max = logit;
        best = token;
      } else if (Float.isNaN(logit)) {
        throw new LogitsException(Kind.FILE, "The logit of token " + token + " is not a number");
      }
    }
    if (best < 0 && mask != null) {
      throw new LogitsException(
          Kind.REQUEST,
          "Every token that the constraint lets follow here has a logit of negative infinity: the"
              + " request's logit bias, or the model, forbids them. Leave one that may come.");
    }
    if (best < 0) {
      throw sampling.logitBias().containsValue(Float.NEGATIVE_INFINITY)
          ? new LogitsException(
              Kind.REQUEST,
              "The request's logit bias forbids every token; leave one that may come.")
          : new LogitsException(Kind.FILE, "Every logit is negative infinity: no token may come");
    }
    if (max == Float.POSITIVE_INFINITY) {
      throw new LogitsException(Kind.FILE, "The logit of token " + best + " is infinite");
    }
    return best;
  }

  /** The lowest logit that min-p lets through. */
  private float floor(float max) {
    return sampling.minP() == 0
        ? Float.NEGATIVE_INFINITY
        : (float) (max + Math.log(sampling.minP()));
  }

  private int drawFromAll(MemorySegment logits, long offset, float max, double u) {
    float floor = floor(max);
    double sum = 0;
    for (int token = 0; token < vocabulary; token++) {
      sum += weight(allowed(logits, offset, token), max, floor);
    }
    double left = u * sum;
    int last = -1;
    for (int token = 0; token < vocabulary; token++) {
      double weight = weight(allowed(logits, offset, token), max, floor);
      if (weight > 0) {
        last = token;
        left -= weight;
        if (left < 0) {
          return token;
        }
      }
    }
    return last; // rounding: u · sum was not quite used up
  }

  private double weight(float logit, float max, float floor) {
    return logit < floor ? 0 : Math.exp((logit - (double) max) / sampling.temperature());
  }

  private int drawFromCandidates(int kept, float max, double u) {
    float floor = floor(max);
    if (weights.length < kept) {
      weights = new double[kept];
    }
    double sum = 0;
    for (int i = 0; i < kept; i++) {
      weights[i] = weight(logit(candidates[i]), max, floor);
      sum += weights[i];
    }
    double left = u * sum;
    int last = 0;
    for (int i = 0; i < kept; i++) {
      if (weights[i] > 0) {
        last = i;
        left -= weights[i];
        if (left < 0) {
          break;
        }
      }
    }
    return token(candidates[last]);
  }

  /** Cuts sorted candidates to the fewest that reach top-p of {@code mass}; -1 if they do not. */
  private int nucleus(int count, float max, double mass) {
    double target = sampling.topP() * mass;
    double sum = 0;
    for (int i = 0; i < count; i++) {
      sum += Math.exp(logit(candidates[i]) - (double) max);
      if (sum >= target) {
        return i + 1;
      }
    }
    return count;
  }

  private double mass(int count, float max) {
    double sum = 0;
    for (int i = 0; i < count; i++) {
      sum += Math.exp(logit(candidates[i]) - (double) max);
    }
    return sum;
  }

  /** The nucleus of the whole vocabulary, of which only what may be in it is sorted. */
  private int nucleusOfAll(MemorySegment logits, long offset, float max) {
    double[] bins = new double[BINS];
    double mass = 0;
    for (int token = 0; token < vocabulary; token++) {
      float logit = allowed(logits, offset, token);
      double likelihood = Math.exp(logit - (double) max);
      mass += likelihood;
      bins[bin(logit, max)] += likelihood;
    }
    int last = 0;
    for (double sum = bins[0]; last < BINS - 1 && sum < sampling.topP() * mass; ) {
      last++;
      sum += bins[last];
    }
    last++; // sums of bins are rounded in another way than the sum of the nucleus
    int count = 0;
    for (int token = 0; token < vocabulary; token++) {
      float logit = allowed(logits, offset, token);
      if (bin(logit, max) <= last) {
        if (count == candidates.length) {
          candidates = Arrays.copyOf(candidates, Math.max(128, 2 * count));
        }
        candidates[count++] = candidate(logit, token);
      }
    }
    sort(count);
    return nucleus(count, max, mass);
  }

  /** The number of steps that a logit lies below the highest one. */
  private static int bin(float logit, float max) {
    return (int) Math.min(BINS - 1, (max - logit) * BINS_PER_LOGIT);
  }

  /** Puts the {@code k} likeliest tokens into {@link #candidates}, likeliest first. */
  private int select(MemorySegment logits, long offset, int k) {
    int count = Math.min(k, vocabulary);
    if (candidates.length < count) {
      candidates = new long[count];
    }
    for (int token = 0; token < count; token++) {
      candidates[token] = candidate(allowed(logits, offset, token), token);
    }
    // A heap with the least likely candidate on top: most tokens lose against it and cost one
    // comparison.
    for (int i = count / 2 - 1; i >= 0; i--) {
      sink(i, count);
    }
    float least = logit(candidates[0]);
    for (int token = count; token < vocabulary; token++) {
      float logit = allowed(logits, offset, token);
      if (logit > least) { // an equal one of a higher id comes after
        candidates[0] = candidate(logit, token);
        sink(0, count);
        least = logit(candidates[0]);
      }
    }
    sort(count);
    return count;
  }

  /** Sorts candidates, the likeliest first. */
  private void sort(int count) {
    Arrays.sort(candidates, 0, count);
    for (int i = 0, j = count - 1; i < j; i++, j--) {
      long swap = candidates[i];
      candidates[i] = candidates[j];
      candidates[j] = swap;
    }
  }

  private void sink(int index, int count) {
    long moved = candidates[index];
    for (int child; (child = 2 * index + 1) < count; index = child) {
      if (child + 1 < count && candidates[child + 1] < candidates[child]) {
        child++;
      }
      if (candidates[child] >= moved) {
        break;
      }
      candidates[index] = candidates[child];
    }
    candidates[index] = moved;
  }

  /** A number that sorts by logit, then by falling id. */
  private static long candidate(float logit, int token) {
    int bits = Float.floatToRawIntBits(logit + 0f); // +0f: the two zeros are equally likely
    int sortable = bits ^ ((bits >> 31) & Integer.MAX_VALUE);
    return ((long) sortable << 32) | (Integer.MAX_VALUE - token);
  }

  private static float logit(long candidate) {
    int sortable = (int) (candidate >> 32);
    return Float.intBitsToFloat(sortable ^ ((sortable >> 31) & Integer.MAX_VALUE));
  }

  private static int token(long candidate) {
    return Integer.MAX_VALUE - (int) candidate;
  }

  /** The logit of a token if it may be chosen now. */
  private float allowed(MemorySegment logits, long offset, int token) {
    return mask == null || Cursor.isIn(mask, token)
        ? get(logits, offset, token)
        : Float.NEGATIVE_INFINITY;
  }

  private static float get(MemorySegment logits, long offset, int token) {
    return logits.get(F32, offset + 4L * token);
  }

  private static void set(MemorySegment logits, long offset, int token, float logit) {
    logits.set(F32, offset + 4L * token, logit);
  }
}
