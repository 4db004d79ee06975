package dev.knapsack.plan;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import dev.knapsack.cache.Checkpoints;
import dev.knapsack.cache.KvFormat;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.KvTransform;
import dev.knapsack.cache.policy.Recipe;
import dev.knapsack.error.PlanFileException;
import dev.knapsack.error.UnsupportedFormatException;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.tensor.Format;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/** A plan as JSON: a value to save, read, edit and open a model with. */
final class PlanJson {
  /** The form of the file; a reader refuses what it does not know. */
  private static final int VERSION = 1;

  /** Copies of states of a sequence: more than there are pages in any context. */
  private static final int MOST_CHECKPOINTS = 1 << 20;

  private PlanJson() {}

  /** The plan, indented for people. */
  static String write(Plan plan) {
    JsonObject root = new JsonObject();
    root.addProperty("version", VERSION);
    root.addProperty("model", plan.model());
    root.addProperty("budget", plan.budget());
    root.addProperty("bytes", plan.bytes());
    root.addProperty("context", plan.context());
    root.addProperty("sequences", plan.sequences());
    KvFormat format = plan.cache().format();
    root.addProperty("keyFormat", format.keyName());
    root.addProperty("valueFormat", format.values().name());
    root.addProperty("recent", format.recent());
    root.addProperty("rotated", format.transform() == KvTransform.ROTATED);
    root.addProperty("reordered", format.transform() == KvTransform.REORDERED);
    root.addProperty("recipe", plan.cache().policy().name());
    root.addProperty("resident", plan.cache().resident());
    JsonObject checkpoints = new JsonObject();
    checkpoints.addProperty("distance", plan.cache().checkpoints().distance());
    checkpoints.addProperty("count", plan.cache().checkpoints().count());
    checkpoints.addProperty("format", plan.cache().checkpoints().format().name());
    root.add("checkpoints", checkpoints);
    root.addProperty("prefillChunk", plan.prefillChunk());
    root.addProperty("workers", plan.workers());

    JsonObject weights = new JsonObject();
    JsonArray streamed = new JsonArray();
    plan.weights().streamedLayers().forEach(streamed::add);
    weights.add("streamedLayers", streamed);
    weights.addProperty("outputStreamed", plan.weights().outputStreamed());
    weights.addProperty("streamBuffer", plan.weights().streamBuffer());
    weights.addProperty("expertCache", plan.weights().expertCache());
    weights.addProperty("gathered", plan.weights().gathered());
    root.add("weights", weights);

    JsonArray shares = new JsonArray();
    for (Plan.Share share : plan.shares()) {
      JsonObject o = new JsonObject();
      o.addProperty("account", share.account());
      o.addProperty("bytes", share.bytes());
      o.addProperty("what", share.what());
      shares.add(o);
    }
    root.add("shares", shares);

    JsonArray choices = new JsonArray();
    for (Plan.Choice choice : plan.choices()) {
      JsonObject o = new JsonObject();
      o.addProperty("component", choice.component());
      o.addProperty("chosen", choice.chosen());
      JsonArray alternatives = new JsonArray();
      for (Plan.Alternative other : choice.alternatives()) {
        JsonObject a = new JsonObject();
        a.addProperty("name", other.name());
        a.addProperty("bytes", other.bytes());
        a.addProperty("decodeTokensPerSecond", other.decodeTokensPerSecond());
        a.addProperty("cost", other.cost());
        alternatives.add(a);
      }
      o.add("alternatives", alternatives);
      choices.add(o);
    }
    root.add("choices", choices);

    JsonObject prediction = new JsonObject();
    Plan.Prediction p = plan.prediction();
    prediction.addProperty("prefillTokensPerSecond", p.prefillTokensPerSecond());
    prediction.addProperty("decodeTokensPerSecond", p.decodeTokensPerSecond());
    prediction.addProperty("secondsToFirstToken", p.secondsToFirstToken());
    prediction.addProperty("promptTokens", p.promptTokens());
    prediction.addProperty("memoryBytesPerSecond", p.memoryBytesPerSecond());
    root.add("prediction", prediction);

    JsonArray notes = new JsonArray();
    plan.notes().forEach(notes::add);
    root.add("notes", notes);

    Gson gson = new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().create();
    return gson.toJson(root) + "\n";
  }

  /**
   * Reads what {@link #write} wrote, or someone edited.
   *
   * @throws PlanFileException if it is no plan
   */
  static Plan read(String json) {
    Fields root = new Fields("", parse(json));
    long version = root.integer("version");
    if (version != VERSION) {
      throw new PlanFileException(
          "version", "%d is not supported, only %d".formatted(version, VERSION), null);
    }
    Fields weights = root.object("weights");
    Fields prediction = root.object("prediction");
    return new Plan(
        root.string("model"),
        root.positive("budget"),
        root.size("context"),
        root.size("sequences"),
        cache(root),
        root.size("prefillChunk"),
        (int) root.between("workers", 1, WorkerTeam.MOST),
        new Plan.Weights(
            weights.list("streamedLayers", e -> weights.layer(e)),
            weights.flag("outputStreamed"),
            weights.atLeast("streamBuffer", 0),
            weights.atLeast("expertCache", -1),
            // Of an older plan, the embedding was where the output is.
            weights.flag(weights.has("gathered") ? "gathered" : "outputStreamed")),
        root.objects(
            "shares",
            o -> new Plan.Share(o.string("account"), o.atLeast("bytes", 0), o.string("what"))),
        root.objects(
            "choices",
            o ->
                new Plan.Choice(
                    o.string("component"),
                    o.string("chosen"),
                    o.objects(
                        "alternatives",
                        a ->
                            new Plan.Alternative(
                                a.string("name"),
                                a.atLeast("bytes", 0),
                                a.real("decodeTokensPerSecond"),
                                a.string("cost"))))),
        new Plan.Prediction(
            prediction.real("prefillTokensPerSecond"),
            prediction.real("decodeTokensPerSecond"),
            prediction.real("secondsToFirstToken"),
            prediction.size("promptTokens"),
            prediction.real("memoryBytesPerSecond")),
        root.has("notes") ? root.list("notes", e -> note(e)) : List.of());
  }

  /**
   * The cache of a plan; of an older one, which lacks what there was no choice of, as it was then.
   */
  private static Plan.Cache cache(Fields root) {
    KvFormat keys = root.keys("keyFormat");
    KvFormat format =
        new KvFormat(
            keys.keys(),
            root.values("valueFormat"),
            root.has("recent") ? (int) root.between("recent", 0, Integer.MAX_VALUE) : 0,
            transform(root),
            keys.sketch());
    KvPolicy policy = root.has("recipe") ? root.recipe("recipe") : KvPolicy.FULL;
    int resident = root.has("resident") ? (int) root.between("resident", 0, Integer.MAX_VALUE) : 0;
    try {
      return new Plan.Cache(format, policy, resident, checkpoints(root));
    } catch (IllegalArgumentException e) {
      throw new PlanFileException("resident", String.valueOf(e.getMessage()), e);
    }
  }

  private static Checkpoints checkpoints(Fields root) {
    if (!root.has("checkpoints")) {
      return Checkpoints.USUAL;
    }
    Fields given = root.object("checkpoints");
    int distance = (int) given.between("distance", KvLayout.PAGE_TOKENS, Integer.MAX_VALUE);
    if (distance % KvLayout.PAGE_TOKENS != 0) {
      throw given.not("distance", "a multiple of " + KvLayout.PAGE_TOKENS);
    }
    String name = given.string("format");
    Format format =
        Checkpoints.FORMATS.stream()
            .filter(f -> f.name().equals(name))
            .findFirst()
            .orElseThrow(() ->
                given.not(
                    "format", "one of " + Checkpoints.FORMATS.stream().map(Format::name).toList()));
    return new Checkpoints(distance, (int) given.between("count", 0, MOST_CHECKPOINTS), format);
  }

  private static String note(JsonElement element) {
    if (element.isJsonPrimitive() && element.getAsJsonPrimitive().isString()) {
      return element.getAsString();
    }
    throw new PlanFileException("notes[]", "must be a string, not " + element, null);
  }

  private static KvTransform transform(Fields root) {
    boolean rotated = root.has("rotated") && root.flag("rotated");
    boolean reordered = root.has("reordered") && root.flag("reordered");
    if (rotated && reordered) {
      throw new PlanFileException("reordered", "must be false where rotated is true", null);
    }
    if (reordered) {
      return KvTransform.REORDERED;
    }
    return rotated ? KvTransform.ROTATED : KvTransform.NONE;
  }

  private static JsonObject parse(String json) {
    try {
      if (JsonParser.parseString(json) instanceof JsonObject object) {
        return object;
      }
    } catch (JsonParseException | StackOverflowError e) {
      throw new PlanFileException("the file", "is not JSON", e);
    }
    throw new PlanFileException("the file", "is not a JSON object", null);
  }

  /** The fields of a JSON object, typed on request, with errors that name their path. */
  private record Fields(String path, JsonObject object) {
    private JsonElement get(String name) {
      JsonElement value = object.get(name);
      if (value == null) {
        throw new PlanFileException(path + name, "is missing", null);
      }
      return value;
    }

    boolean has(String name) {
      return object.has(name);
    }

    private PlanFileException not(String name, String expected) {
      return new PlanFileException(
          path + name, "must be %s, not %s".formatted(expected, get(name)), null);
    }

    String string(String name) {
      if (get(name).isJsonPrimitive() && get(name).getAsJsonPrimitive().isString()) {
        return get(name).getAsString();
      }
      throw not(name, "a string");
    }

    /** A form of keys, with values in some other. */
    KvFormat keys(String name) {
      return formats(name, string(name), KvFormat.F16.keyName());
    }

    Format values(String name) {
      return formats(name, KvFormat.F16.keyName(), string(name)).values();
    }

    private KvFormat formats(String name, String keys, String values) {
      try {
        return KvFormat.of(keys, values);
      } catch (UnsupportedFormatException | IllegalArgumentException e) {
        throw new PlanFileException(path + name, String.valueOf(e.getMessage()), e);
      }
    }

    KvPolicy recipe(String name) {
      try {
        return Recipe.of(string(name));
      } catch (IllegalArgumentException e) {
        throw new PlanFileException(path + name, String.valueOf(e.getMessage()), e);
      }
    }

    boolean flag(String name) {
      if (get(name).isJsonPrimitive() && get(name).getAsJsonPrimitive().isBoolean()) {
        return get(name).getAsBoolean();
      }
      throw not(name, "true or false");
    }

    private BigDecimal number(String name) {
      if (get(name).isJsonPrimitive() && get(name).getAsJsonPrimitive().isNumber()) {
        try {
          return get(name).getAsBigDecimal();
        } catch (NumberFormatException e) {
          throw not(name, "a number");
        }
      }
      throw not(name, "a number");
    }

    double real(String name) {
      return number(name).doubleValue();
    }

    long integer(String name) {
      try {
        BigDecimal number = number(name);
        // Asked first, because 1e999999999 has too many digits to write out.
        if (number.precision() - number.scale() > 19) {
          throw not(name, "a whole number of 64 bits");
        }
        return number.longValueExact();
      } catch (ArithmeticException e) {
        throw not(name, "a whole number of 64 bits");
      }
    }

    long atLeast(String name, long least) {
      long value = integer(name);
      if (value < least) {
        throw not(name, "at least " + least);
      }
      return value;
    }

    long between(String name, long least, long most) {
      long value = atLeast(name, least);
      if (value > most) {
        throw not(name, "at most " + most);
      }
      return value;
    }

    long positive(String name) {
      return atLeast(name, 1);
    }

    int size(String name) {
      return (int) between(name, 1, Integer.MAX_VALUE);
    }

    int layer(JsonElement element) {
      JsonObject one = new JsonObject();
      one.add("streamedLayers[]", element);
      long value = new Fields(path, one).atLeast("streamedLayers[]", 0);
      if (value > 1_000_000) {
        throw new PlanFileException(path + "streamedLayers[]", value + " is no layer", null);
      }
      return (int) value;
    }

    Fields object(String name) {
      if (get(name) instanceof JsonObject o) {
        return new Fields(path + name + ".", o);
      }
      throw not(name, "an object");
    }

    <T> List<T> list(String name, Function<JsonElement, T> each) {
      if (get(name) instanceof JsonArray array) {
        List<T> list = new ArrayList<>();
        array.forEach(e -> list.add(each.apply(e)));
        return list;
      }
      throw not(name, "an array");
    }

    <T> List<T> objects(String name, Function<Fields, T> each) {
      return list(
          name,
          e -> {
            if (e instanceof JsonObject o) {
              return each.apply(new Fields(path + name + "[].", o));
            }
            throw new PlanFileException(path + name + "[]", "must be an object, not " + e, null);
          });
    }
  }
}
