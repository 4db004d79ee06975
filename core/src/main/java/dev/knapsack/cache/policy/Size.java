package dev.knapsack.cache.policy;

import dev.knapsack.cache.KvCache;
import java.math.BigDecimal;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A number of tokens: so many, a share of the prompt's tokens, or both together; written {@code
 * 1024}, {@code 25%}, {@code 4+12.5%}.
 *
 * <p>How long a prompt is is known before it is read: a share of it is the same from its first step
 * on. Of a sequence without a prompt, a share is of all tokens so far.
 *
 * @param tokens the number
 * @param share of the prompt, in hundredths of a percent
 */
public record Size(int tokens, int share) {
  private static final int ALL = 10_000;

  private static final Pattern FORM =
      Pattern.compile("(\\d{1,9})(?:\\+(\\d{1,3}(?:\\.\\d{1,2})?)%)?|(\\d{1,3}(?:\\.\\d{1,2})?)%");

  public Size {
    if (tokens < 0 || share < 0 || share > ALL) {
      throw new IllegalArgumentException(
          "tokens are 0 or more and a share of the prompt 0 to 100 percent, not "
              + written(tokens, share));
    }
  }

  /** A size of so many tokens. */
  public static Size of(int tokens) {
    return new Size(tokens, 0);
  }

  /** The size of this text; empty if it is not written as one. */
  static Optional<Size> read(String text) {
    Matcher form = FORM.matcher(text);
    if (!form.matches()) {
      return Optional.empty();
    }
    String percent = form.group(1) == null ? form.group(3) : form.group(2);
    int share = percent == null ? 0 : new BigDecimal(percent).movePointRight(2).intValueExact();
    return Optional.of(
        new Size(form.group(1) == null ? 0 : Integer.parseInt(form.group(1)), share));
  }

  /** The size itself, if it is of something. */
  Size positive() {
    if (tokens == 0 && share == 0) {
      throw new IllegalArgumentException("a head keeps 1 token or more, not " + this);
    }
    return this;
  }

  Size plus(Size other) {
    return new Size(Math.addExact(tokens, other.tokens), share + other.share);
  }

  Size dividedBy(int by) {
    return new Size(tokens / by, share / by);
  }

  /** The number of tokens that it is of a sequence. */
  public int tokens(KvCache cache) {
    return resolve(cache.text().promptEnd() > 0 ? cache.text().promptEnd() : cache.length());
  }

  /**
   * The number of tokens that it is at most of a sequence of this length: the whole may be the
   * prompt.
   */
  public int most(int length) {
    return resolve(length);
  }

  private int resolve(int prompt) {
    return (int) Math.min(Integer.MAX_VALUE, tokens + Math.ceilDiv((long) prompt * share, ALL));
  }

  private static String written(int tokens, int share) {
    if (share == 0) {
      return Integer.toString(tokens);
    }
    String percent = BigDecimal.valueOf(share, 2).stripTrailingZeros().toPlainString() + "%";
    return tokens == 0 ? percent : tokens + "+" + percent;
  }

  @Override
  public String toString() {
    return written(tokens, share);
  }
}
