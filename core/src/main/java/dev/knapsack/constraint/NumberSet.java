package dev.knapsack.constraint;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Numbers between two bounds, multiples of a step, without some.
 *
 * @param step 1 for integers; empty for any number
 */
record NumberSet(
    Optional<Bound> least,
    Optional<Bound> most,
    Optional<BigDecimal> step,
    List<BigDecimal> without) {
  /**
   * An end of the numbers.
   *
   * @param exclusive true if it is not one of them itself
   */
  record Bound(BigDecimal value, boolean exclusive) {}

  static final NumberSet ALL =
      new NumberSet(Optional.empty(), Optional.empty(), Optional.empty(), List.of());

  NumberSet {
    without = List.copyOf(without);
  }

  NumberSet atLeast(BigDecimal value, boolean exclusive) {
    boolean tighter =
        least.isEmpty()
            || value.compareTo(least.get().value) > 0
            || (value.compareTo(least.get().value) == 0 && exclusive);
    return tighter
        ? new NumberSet(Optional.of(new Bound(value, exclusive)), most, step, without)
        : this;
  }

  NumberSet atMost(BigDecimal value, boolean exclusive) {
    boolean tighter =
        most.isEmpty()
            || value.compareTo(most.get().value) < 0
            || (value.compareTo(most.get().value) == 0 && exclusive);
    return tighter
        ? new NumberSet(least, Optional.of(new Bound(value, exclusive)), step, without)
        : this;
  }

  /**
   * @param of more than 0
   */
  NumberSet multiples(BigDecimal of) {
    BigDecimal common = step.map(s -> leastCommonMultiple(s, of)).orElse(of).stripTrailingZeros();
    return new NumberSet(least, most, Optional.of(common), without);
  }

  /** Says whether all of them are multiples of a number because of their step. */
  boolean areMultiples(BigDecimal of) {
    return step.filter(s -> s.remainder(of).signum() == 0).isPresent();
  }

  private static BigDecimal leastCommonMultiple(BigDecimal a, BigDecimal b) {
    int scale = Math.max(0, Math.max(a.scale(), b.scale()));
    BigInteger one = a.movePointRight(scale).toBigIntegerExact();
    BigInteger other = b.movePointRight(scale).toBigIntegerExact();
    return new BigDecimal(one.divide(one.gcd(other)).multiply(other), scale);
  }

  NumberSet without(BigDecimal value) {
    return new NumberSet(
        least, most, step, Stream.concat(without.stream(), Stream.of(value)).toList());
  }

  boolean has(BigDecimal value) {
    return least.map(b -> value.compareTo(b.value) >= (b.exclusive ? 1 : 0)).orElse(true)
        && most.map(b -> value.compareTo(b.value) <= (b.exclusive ? -1 : 0)).orElse(true)
        && step.map(s -> value.remainder(s).signum() == 0).orElse(true)
        && without.stream().noneMatch(one -> one.compareTo(value) == 0);
  }

  /** The smallest whole number of units that is within the bounds. */
  Optional<BigInteger> lowest(BigDecimal unit) {
    return least.map(bound -> {
      BigInteger first = bound.value.divide(unit, 0, RoundingMode.CEILING).toBigIntegerExact();
      boolean on = unit.multiply(new BigDecimal(first)).compareTo(bound.value) == 0;
      return on && bound.exclusive ? first.add(BigInteger.ONE) : first;
    });
  }

  /** The largest whole number of units that is within the bounds. */
  Optional<BigInteger> highest(BigDecimal unit) {
    return most.map(bound -> {
      BigInteger last = bound.value.divide(unit, 0, RoundingMode.FLOOR).toBigIntegerExact();
      boolean on = unit.multiply(new BigDecimal(last)).compareTo(bound.value) == 0;
      return on && bound.exclusive ? last.subtract(BigInteger.ONE) : last;
    });
  }

  /** All of them, smallest first; empty if they are more than so many. */
  Optional<List<BigDecimal>> list(int limit) {
    if (step.isEmpty() || least.isEmpty() || most.isEmpty()) {
      return Optional.empty();
    }
    BigDecimal unit = step.get();
    BigInteger first = lowest(unit).orElseThrow();
    BigInteger last = highest(unit).orElseThrow();
    if (last.subtract(first).compareTo(BigInteger.valueOf(limit)) >= 0) {
      return Optional.empty();
    }
    return Optional.of(
        Stream.iterate(first, n -> n.compareTo(last) <= 0, n -> n.add(BigInteger.ONE))
            .map(n -> unit.multiply(new BigDecimal(n)))
            .filter(this::has)
            .toList());
  }

  boolean isEmpty() {
    boolean crossed =
        least.isPresent()
            && most.isPresent()
            && (least.get().value.compareTo(most.get().value) > 0
                || (least.get().value.compareTo(most.get().value) == 0 && !has(least.get().value)));
    return crossed || list(without.size() + 1).map(List::isEmpty).orElse(false);
  }
}
