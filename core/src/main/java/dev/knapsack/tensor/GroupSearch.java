package dev.knapsack.tensor;

/**
 * Searches for the scale, and where there is one the minimum, with which each group of a block
 * loses least, and keeps the codes that go with them.
 *
 * <p>Each search rounds the group with several scales near the obvious one, solves a weighted least
 * squares problem for the real numbers that best go with the codes, and keeps the best result. The
 * symmetric searches make the bytes that the published quantisers make, so the order of their
 * floating-point operations is part of their definition; {@link #affine} and {@link #settle} search
 * a little further than those and lose a little less.
 */
final class GroupSearch {
  /** A group whose numbers are all below this magnitude counts as zero. */
  static final float NOTHING = 1e-15f;

  private final float[] x;
  private final int size;
  private final byte[] codes;
  private final float[] scales;
  private final float[] mins;
  private final byte[] trial;
  private final float[] weights;

  /** The sums of {@link #fit}: Σ w·x·l and Σ w·l². */
  private float fitXL;

  private float fitL2;

  /** The line that {@link #fitLine} finds. */
  private float lineScale;

  private float lineMin;

  /** Searches over the groups of {@code size} numbers of a block. */
  GroupSearch(float[] x, int size) {
    this.x = x;
    this.size = size;
    codes = new byte[x.length];
    scales = new float[x.length / size];
    mins = new float[x.length / size];
    trial = new byte[size];
    weights = new float[size];
  }

  /** Unsigned codes of the whole block. */
  byte[] codes() {
    return codes;
  }

  /** The scale found for each group. */
  float[] scales() {
    return scales;
  }

  /** The minimum found for each group, negated: a positive number to subtract. */
  float[] mins() {
    return mins;
  }

  /** Lets each number's error count by its magnitude plus the group's root mean square. */
  void weigh(int group) {
    float squares = 0;
    for (int i = 0; i < size; i++) {
      float value = x[group * size + i];
      squares += value * value;
    }
    float mean = (float) Math.sqrt(squares / size);
    for (int i = 0; i < size; i++) {
      weights[i] = mean + Math.abs(x[group * size + i]);
    }
  }

  /**
   * Finds a scale and a minimum of at most 0 for codes 0 to {@code top}.
   *
   * @param first the first trial spreads the group over {@code top + first} steps, each later one
   *     over 0.1 more
   * @param trials how many
   */
  void affine(int group, int top, float first, int trials) {
    int from = group * size;
    float low = Math.min(0, AbstractBlockFormat.min(x, from, from + size));
    float high = AbstractBlockFormat.max(x, from, from + size);
    if (high == low) {
      scales[group] = 0;
      mins[group] = -low;
      return;
    }
    float sumW = 0;
    float sumX = 0;
    for (int i = 0; i < size; i++) {
      sumW += weights[i];
      sumX += weights[i] * x[from + i];
    }
    float min = low;
    float scale = 1 / (top / (high - low));
    round(from, low, top / (high - low), top);
    float best = affineError(from, scale, min);
    System.arraycopy(trial, 0, codes, from, size);
    for (int t = 0; t < trials; t++) {
      round(from, low, (first + 0.1f * t + top) / (high - low), top);
      // Each trial's codes give a line, the line gives better codes, until that gains nothing.
      for (int pass = 0; pass < 4 && fitLine(from, sumW, sumX); pass++) {
        float error = affineError(from, lineScale, lineMin);
        if (error >= best) {
          break;
        }
        best = error;
        scale = lineScale;
        min = lineMin;
        System.arraycopy(trial, 0, codes, from, size);
        round(from, min, 1 / scale, top);
      }
    }
    scales[group] = scale;
    mins[group] = -min;
  }

  /**
   * Solves for the scale and the minimum that best go with the trial's codes; false if there is no
   * such line.
   */
  private boolean fitLine(int from, float sumW, float sumX) {
    float sumL = 0;
    float sumL2 = 0;
    float sumXL = 0;
    for (int i = 0; i < size; i++) {
      int l = trial[i];
      float w = weights[i];
      sumL += w * l;
      sumL2 += w * l * l;
      sumXL += w * l * x[from + i];
    }
    float determinant = sumW * sumL2 - sumL * sumL;
    lineScale = (sumW * sumXL - sumX * sumL) / determinant;
    lineMin = (sumL2 * sumX - sumL * sumXL) / determinant;
    if (lineMin > 0) {
      lineMin = 0;
      lineScale = sumXL / sumL2;
    }
    return determinant > 0 && lineScale > 0;
  }

  private void round(int from, float low, float inverse, int top) {
    for (int i = 0; i < size; i++) {
      int l = Rounding.halfEven(inverse, x[from + i] - low);
      trial[i] = (byte) Rounding.clamp(l, 0, top);
    }
  }

  private float affineError(int from, float scale, float min) {
    float sum = 0;
    for (int i = 0; i < size; i++) {
      float error = scale * trial[i] + min - x[from + i];
      sum += weights[i] * (error * error);
    }
    return sum;
  }

  /**
   * Finds a scale for codes that stand for {@code −half} to {@code half − 1}, weighing errors by
   * the squared number: the best of 39 that map the largest number to about {@code −half} or {@code
   * half − 1}; then moves the code with the steepest error gradient by one while the fit improves.
   */
  void symmetric(int group, int half) {
    int from = group * size;
    float largest = AbstractBlockFormat.extreme(x, from, from + size);
    if (Math.abs(largest) < NOTHING) {
      scales[group] = 0;
      return;
    }
    fit(from, -half / largest, half);
    float bestXL = fitXL;
    float bestL2 = fitL2;
    System.arraycopy(trial, 0, codes, from, size);
    for (int t = 0; t < 38; t++) {
      float step = 0.1f * (t / 2 - 9);
      fit(from, t % 2 == 0 ? -(half + step) / largest : (half - 1 + step) / largest, half);
      if (fitL2 > 0 && fitXL * fitXL > bestXL / bestL2 * bestXL * fitL2) {
        bestXL = fitXL;
        bestL2 = fitL2;
        System.arraycopy(trial, 0, codes, from, size);
      }
    }
    scales[group] = move(from, bestXL, bestL2, half);
  }

  /** Rounds the group with {@code inverse} and sums up what least squares needs. */
  private void fit(int from, float inverse, int half) {
    fitXL = 0;
    fitL2 = 0;
    for (int i = 0; i < size; i++) {
      float value = x[from + i];
      int l = Rounding.clamp(Rounding.halfEven(inverse, value), -half, half - 1);
      trial[i] = (byte) (l + half);
      float w = value * value;
      fitXL += w * value * l;
      fitL2 += w * l * l;
    }
  }

  private float move(int from, float startXL, float startL2, int half) {
    float sumXL = startXL;
    float sumL2 = startL2;
    float scale = sumXL / sumL2;
    for (int moves = 0; moves < size * 2 * half; moves++) {
      int steepest = -1;
      float steepestGradient = 0;
      for (int i = 0; i < size; i++) {
        float value = x[from + i];
        int l = codes[from + i] - half;
        float gradient = scale * (value * value) * (value - scale * l);
        if (Math.abs(gradient) > Math.abs(steepestGradient)
            && (gradient > 0 ? l < half - 1 : l > -half)) {
          steepest = from + i;
          steepestGradient = gradient;
        }
      }
      if (steepest < 0) {
        break;
      }
      int direction = steepestGradient > 0 ? 1 : -1;
      float value = x[steepest];
      float w = value * value;
      int l = codes[steepest] - half;
      float movedXL = sumXL + direction * (w * value);
      float movedL2 = sumL2 + w * (2 * direction * l + 1);
      if (!(movedL2 > 0 && movedXL * movedXL > scale * sumXL * movedL2)) {
        break;
      }
      sumXL = movedXL;
      sumL2 = movedL2;
      scale = sumXL / sumL2;
      codes[steepest] += (byte) direction;
    }
    return scale;
  }

  /**
   * Finds a scale for codes that stand for {@code −half} to {@code half − 1}, weighing errors by
   * the squared number: starts from the scale that maps the largest number to {@code −half} and
   * moves one code at a time while the fit improves, at most five times through the group.
   */
  void symmetricByMoves(int group, int half) {
    int from = group * size;
    float largest = AbstractBlockFormat.extreme(x, from, from + size);
    if (Math.abs(largest) < NOTHING) {
      scales[group] = 0;
      return;
    }
    float inverse = -half / largest;
    float sumXL = 0;
    float sumL2 = 0;
    for (int i = 0; i < size; i++) {
      float value = x[from + i];
      int l = Rounding.clamp(Rounding.halfEven(inverse, value), -half, half - 1);
      trial[i] = (byte) l;
      float w = value * value;
      sumXL += w * value * l;
      sumL2 += w * l * l;
    }
    boolean moved = true;
    for (int pass = 0; pass < 5 && moved; pass++) {
      moved = false;
      for (int i = 0; i < size; i++) {
        float value = x[from + i];
        float w = value * value;
        float otherXL = sumXL - w * value * trial[i];
        if (otherXL > 0) {
          float otherL2 = sumL2 - w * trial[i] * trial[i];
          int l = Rounding.halfEven(value * otherL2 / otherXL);
          l = Rounding.clamp(l, -half, half - 1);
          if (l != trial[i]) {
            otherXL += w * value * l;
            otherL2 += w * l * l;
            if (otherL2 > 0 && otherXL * otherXL * sumL2 > sumXL * sumXL * otherL2) {
              trial[i] = (byte) l;
              sumXL = otherXL;
              sumL2 = otherL2;
              moved = true;
            }
          }
        }
      }
    }
    for (int i = 0; i < size; i++) {
      codes[from + i] = (byte) (trial[i] + half);
    }
    scales[group] = sumL2 > 0 ? sumXL / sumL2 : 0;
  }

  /**
   * Chooses a group's integer scale and minimum, each at most one from the given, so that the group
   * loses least as it will be decoded, and its codes.
   *
   * @param d what the block multiplies integer scales with
   * @param dmin what the block multiplies integer minima with
   * @param most the largest integer a scale or minimum can be
   * @return the scale in the lower 8 bits, the minimum above them
   */
  int settle(int group, float d, float dmin, int scale, int min, int most, int top) {
    int from = group * size;
    int chosen = Rounding.clamp(scale, 0, most) | (Rounding.clamp(min, 0, most) << 8);
    float best = Float.POSITIVE_INFINITY;
    for (int s = Math.max(0, scale - 1); s <= Math.min(most, scale + 1); s++) {
      for (int m = Math.max(0, min - 1); m <= Math.min(most, min + 1); m++) {
        float step = d * s;
        float low = -(dmin * m);
        round(from, low, Rounding.inverse(step), top);
        float error = affineError(from, step, low);
        if (error < best) {
          best = error;
          chosen = s | (m << 8);
          System.arraycopy(trial, 0, codes, from, size);
        }
      }
    }
    return chosen;
  }

  /**
   * Chooses a group's codes anew once its scale has been rounded to what the block can store; a
   * group whose scale became 0 keeps its codes.
   *
   * @param zero the code that stands for 0
   */
  void recode(int group, float scale, int zero, int top) {
    if (scale == 0) {
      return;
    }
    for (int i = group * size; i < (group + 1) * size; i++) {
      int l = Rounding.halfEven(x[i] / scale) + zero;
      codes[i] = (byte) Rounding.clamp(l, 0, top);
    }
  }
}
