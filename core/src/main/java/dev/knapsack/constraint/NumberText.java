package dev.knapsack.constraint;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Numbers of a set as they are written, digit by digit.
 *
 * <p>Without bounds a number has at most 15 digits before its point and 15 behind it, and an
 * exponent of two digits; an integer 18 digits. With bounds or a step it has no exponent, and so
 * few digits that a reader who takes it for a {@code double} finds it on the same side of each
 * bound.
 */
final class NumberText {
  /** A step of more units than this is honoured only where its multiples can be listed. */
  private static final int LARGEST_STEP = 256;

  private static final int LISTED = 1000;
  private static final ByteSet DIGIT = ByteSet.range('0', '9');

  private final Terms terms;
  private final Map<NumberSet, Term> known = new HashMap<>();

  NumberText(Terms terms) {
    this.terms = terms;
  }

  /** Says whether numbers can be told from others: their step is not too large, or they are few. */
  static boolean isWritable(NumberSet numbers) {
    return numbers.step().isEmpty()
        || units(numbers).step.compareTo(BigInteger.valueOf(LARGEST_STEP)) <= 0
        || numbers.list(LISTED).isPresent();
  }

  /** The texts of numbers that can be told from others. */
  Term of(NumberSet numbers) {
    Term term = known.get(numbers);
    if (term == null) {
      term = made(numbers);
      known.put(numbers, term);
    }
    return term;
  }

  private Term made(NumberSet numbers) {
    boolean integers = numbers.step().filter(s -> s.compareTo(BigDecimal.ONE) == 0).isPresent();
    boolean free =
        numbers.least().isEmpty() && numbers.most().isEmpty() && numbers.without().isEmpty();
    if (free && (integers || numbers.step().isEmpty())) {
      return integers ? integer() : number();
    }
    return numbers.list(16).map(this::listed).orElseGet(() -> ranges(numbers));
  }

  private Term listed(List<BigDecimal> all) {
    return terms.choice(all.stream().map(one -> terms.text(plain(one))).toList());
  }

  private static String plain(BigDecimal value) {
    return value.signum() == 0 ? "0" : value.stripTrailingZeros().toPlainString();
  }

  private Term digits(int least, int most) {
    return terms.repeat(terms.bytes(DIGIT), least, most);
  }

  private Term optional(Term... parts) {
    return terms.choice(terms.empty(), terms.sequence(parts));
  }

  private Term whole(int digits) {
    return terms.sequence(terms.bytes(ByteSet.range('1', '9')), digits(0, digits - 1));
  }

  private Term integer() {
    return terms.choice(terms.text("0"), terms.sequence(optional(terms.text("-")), whole(18)));
  }

  private Term number() {
    return terms.sequence(
        optional(terms.text("-")),
        terms.choice(terms.text("0"), whole(15)),
        optional(terms.text("."), digits(1, 15)),
        optional(
            terms.bytes(ByteSet.of('e', 'E')),
            optional(terms.bytes(ByteSet.of('+', '-'))),
            digits(1, 2)));
  }

  // Numbers between bounds

  /**
   * The step that numbers are multiples of.
   *
   * @param behindPoint digits behind the point
   * @param step in units of the last of them, without zeros at its end where there is no point
   * @param zeros those at its end
   */
  private record Units(int behindPoint, BigInteger step, int zeros) {}

  private static Units units(NumberSet numbers) {
    int behindPoint = digitsBehindPoint(numbers);
    BigInteger step =
        numbers
            .step()
            .map(s -> s.movePointRight(behindPoint).toBigIntegerExact())
            .orElse(BigInteger.ONE);
    int zeros = 0;
    while (behindPoint == 0 && step.mod(BigInteger.TEN).signum() == 0) {
      step = step.divide(BigInteger.TEN);
      zeros++;
    }
    return new Units(behindPoint, step, zeros);
  }

  private Term ranges(NumberSet numbers) {
    Units units = units(numbers);
    if (units.step.compareTo(BigInteger.valueOf(LARGEST_STEP)) > 0) {
      return listed(numbers.list(LISTED).orElseThrow());
    }
    BigDecimal unit = BigDecimal.ONE.movePointLeft(units.behindPoint);
    BigInteger limit = limit(numbers, units);
    BigInteger least = numbers.lowest(unit).orElse(limit.negate());
    BigInteger most = numbers.highest(unit).orElse(limit);
    List<Term> parts = new ArrayList<>();
    BigInteger from = least;
    for (BigInteger gap : gaps(numbers, units.behindPoint)) {
      if (gap.compareTo(from) >= 0 && gap.compareTo(most) <= 0) {
        parts.add(range(from, gap.subtract(BigInteger.ONE), units));
        from = gap.add(BigInteger.ONE);
      }
    }
    parts.add(range(from, most, units));
    return terms.choice(parts);
  }

  private static int digitsBehindPoint(NumberSet numbers) {
    if (numbers.step().isPresent()) {
      return Math.max(0, numbers.step().get().stripTrailingZeros().scale());
    }
    int behind = 0;
    int before = 1;
    List<BigDecimal> named = new ArrayList<>(numbers.without());
    numbers.least().ifPresent(b -> named.add(b.value()));
    numbers.most().ifPresent(b -> named.add(b.value()));
    for (BigDecimal value : named) {
      BigDecimal stripped = value.stripTrailingZeros();
      behind = Math.max(behind, stripped.scale());
      before = Math.max(before, stripped.precision() - stripped.scale());
    }
    return Math.max(behind + 1, Math.min(6, 15 - before));
  }

  /** The end of numbers that have no bound on a side, in units. */
  private static BigInteger limit(NumberSet numbers, Units units) {
    boolean integers =
        units.behindPoint == 0 && units.zeros == 0 && units.step.equals(BigInteger.ONE);
    BigInteger usual = BigInteger.TEN.pow((integers ? 18 : 15) + units.behindPoint);
    BigDecimal unit = BigDecimal.ONE.movePointLeft(units.behindPoint);
    BigInteger least = numbers.lowest(unit).orElse(BigInteger.ZERO).abs();
    BigInteger most = numbers.highest(unit).orElse(BigInteger.ZERO).abs();
    return usual.max(least.max(most).multiply(BigInteger.TEN)).subtract(BigInteger.ONE);
  }

  private static List<BigInteger> gaps(NumberSet numbers, int behindPoint) {
    return numbers.without().stream()
        .map(value -> value.movePointRight(behindPoint).stripTrailingZeros())
        .filter(value -> value.scale() <= 0)
        .map(BigDecimal::toBigIntegerExact)
        .sorted()
        .distinct()
        .toList();
  }

  private Term range(BigInteger least, BigInteger most, Units units) {
    Term upwards = amounts(least.max(BigInteger.ZERO), most, units);
    Term downwards = amounts(most.negate().max(BigInteger.ONE), least.negate(), units);
    return terms.choice(upwards, terms.sequence(terms.text("-"), downwards));
  }

  /** Numbers without a sign. */
  private Term amounts(BigInteger least, BigInteger most, Units units) {
    if (least.compareTo(most) > 0) {
      return terms.never();
    }
    int step = units.step.intValueExact();
    if (units.zeros == 0) {
      return new Amounts(least, most, units.behindPoint, step).all();
    }
    BigInteger tens = BigInteger.TEN.pow(units.zeros);
    BigInteger from = least.add(tens).subtract(BigInteger.ONE).divide(tens).max(BigInteger.ONE);
    BigInteger to = most.divide(tens);
    Term some =
        from.compareTo(to) > 0
            ? terms.never()
            : terms.sequence(
                new Amounts(from, to, 0, step).all(), terms.text("0".repeat(units.zeros)));
    return least.signum() == 0 ? terms.choice(terms.text("0"), some) : some;
  }

  /**
   * The automaton of numbers from one to another, in units of the last digit behind the point.
   *
   * <p>Its states know how many digits were read, how they compare with as many of each bound, and
   * what remains when they are divided by the step.
   */
  private final class Amounts {
    private final String least;
    private final String most;
    private final String leastBehind;
    private final String mostBehind;
    private final int behindPoint;
    private final int step;
    private final Map<List<Integer>, Term> known = new HashMap<>();

    Amounts(BigInteger least, BigInteger most, int behindPoint, int step) {
      BigInteger[] low = least.divideAndRemainder(BigInteger.TEN.pow(behindPoint));
      BigInteger[] high = most.divideAndRemainder(BigInteger.TEN.pow(behindPoint));
      this.least = low[0].toString();
      this.most = high[0].toString();
      this.leastBehind = padded(low[1], behindPoint);
      this.mostBehind = padded(high[1], behindPoint);
      this.behindPoint = behindPoint;
      this.step = step;
    }

    private static String padded(BigInteger digits, int length) {
      String text = digits.signum() == 0 ? "" : digits.toString();
      return "0".repeat(length - text.length()) + text;
    }

    Term all() {
      return before(0, 0, 0, 0, false);
    }

    /**
     * @param low how the digits compare with as many of the lower bound
     * @param high how they compare with as many of the upper bound
     * @param zero true behind a zero, which no digit follows
     */
    private Term before(int read, int low, int high, int rest, boolean zero) {
      List<Integer> state = Arrays.asList(read, low, high, rest, zero ? 1 : 0);
      Term term = known.get(state);
      if (term == null) {
        List<Term> options = new ArrayList<>();
        boolean enough = read > least.length() || (read == least.length() && low >= 0);
        boolean few = read < most.length() || (read == most.length() && high <= 0);
        if (read > 0 && enough && few) {
          boolean onLow = read == least.length() && low == 0;
          boolean onHigh = read == most.length() && high == 0;
          options.add(behind(0, onLow, onHigh, rest));
        }
        for (int digit = 0; digit <= 9 && read < most.length() && !zero; digit++) {
          int nextLow =
              read >= least.length() || low != 0
                  ? low
                  : Integer.compare(digit, least.charAt(read) - '0');
          int nextHigh = high != 0 ? high : Integer.compare(digit, most.charAt(read) - '0');
          boolean longer = read + 1 > least.length();
          options.add(
              digit(
                  digit,
                  before(
                      read + 1,
                      longer ? 1 : nextLow,
                      nextHigh,
                      (rest * 10 + digit) % step,
                      read == 0 && digit == 0)));
        }
        term = terms.choice(options);
        known.put(state, term);
      }
      return term;
    }

    /**
     * @param onLow true if all digits so far are those of the lower bound
     */
    private Term behind(int read, boolean onLow, boolean onHigh, int rest) {
      List<Integer> state = Arrays.asList(-1 - read, onLow ? 1 : 0, onHigh ? 1 : 0, rest);
      Term term = known.get(state);
      if (term == null) {
        List<Term> options = new ArrayList<>();
        int padded = rest;
        for (int i = read; i < behindPoint; i++) {
          padded = padded * 10 % step;
        }
        boolean reached = !onLow || leastBehind.substring(read).chars().allMatch(c -> c == '0');
        if (reached && padded == 0) {
          options.add(terms.empty());
        }
        for (int digit = 0; digit <= 9 && read < behindPoint; digit++) {
          int low = onLow ? leastBehind.charAt(read) - '0' : 0;
          int high = onHigh ? mostBehind.charAt(read) - '0' : 9;
          if (digit >= low && digit <= high) {
            Term next =
                behind(
                    read + 1,
                    onLow && digit == low,
                    onHigh && digit == high,
                    (rest * 10 + digit) % step);
            Term one = digit(digit, next);
            options.add(read == 0 ? terms.sequence(terms.text("."), one) : one);
          }
        }
        term = terms.choice(options);
        known.put(state, term);
      }
      return term;
    }

    private Term digit(int digit, Term next) {
      return terms.sequence(terms.bytes(ByteSet.of('0' + digit)), next);
    }
  }
}
