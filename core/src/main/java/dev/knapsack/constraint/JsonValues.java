package dev.knapsack.constraint;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.math.BigDecimal;
import java.util.Optional;

/** Values of JSON, as JSON Schema compares them. */
final class JsonValues {
  /** Numbers of more digits are refused: written out they could fill the memory. */
  private static final int DIGITS = 400;

  private JsonValues() {}

  /** The number that a value is; empty if it is none, or has more digits than anyone needs. */
  static Optional<BigDecimal> number(JsonElement value) {
    if (!(value instanceof JsonPrimitive number) || !number.isNumber()) {
      return Optional.empty();
    }
    try {
      BigDecimal exact = new BigDecimal(number.getAsString());
      boolean usual = exact.precision() <= DIGITS && Math.abs((long) exact.scale()) <= DIGITS;
      return usual ? Optional.of(exact) : Optional.empty();
    } catch (NumberFormatException _) {
      return Optional.empty();
    }
  }

  /** Says whether two values are equal: numbers by what they are, members in any order. */
  static boolean same(JsonElement one, JsonElement other) {
    return switch (one) {
      case JsonObject object ->
          other instanceof JsonObject second
              && object.keySet().equals(second.keySet())
              && object.keySet().stream().allMatch(key -> same(object.get(key), second.get(key)));
      case JsonArray array -> {
        boolean same = other instanceof JsonArray second && array.size() == second.size();
        for (int i = 0; same && i < array.size(); i++) {
          same = same(array.get(i), ((JsonArray) other).get(i));
        }
        yield same;
      }
      case JsonPrimitive number when number.isNumber() ->
          other instanceof JsonPrimitive second
              && second.isNumber()
              && (number.getAsString().equals(second.getAsString())
                  || number(one)
                      .flatMap(a -> number(other).map(b -> a.compareTo(b) == 0))
                      .orElse(false));
      default -> one.equals(other);
    };
  }
}
