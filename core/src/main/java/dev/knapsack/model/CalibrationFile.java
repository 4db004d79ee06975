package dev.knapsack.model;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.knapsack.cache.policy.Calibration;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.FilePlace;
import dev.knapsack.file.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.OptionalDouble;

/** {@link Calibration} as a JSON file. */
public final class CalibrationFile {
  private static final int VERSION = 1;

  /** A layer of 128 heads takes some 15 KiB. */
  private static final long LARGEST = 16L << 20;

  private CalibrationFile() {}

  /** Writes it whole, or leaves what is there. */
  public static void write(Path path, Calibration calibration) throws IOException {
    Path place = FilePlace.of(path);
    JsonObject root = new JsonObject();
    root.addProperty("version", VERSION);
    root.addProperty("model", calibration.model());
    root.addProperty("prompts", calibration.prompts());
    root.addProperty("right", calibration.right());
    JsonArray layers = new JsonArray();
    for (Calibration.Layer layer : calibration.layers()) {
      JsonObject l = new JsonObject();
      l.addProperty("spread", rounded(layer.spread()));
      l.addProperty("error", rounded(layer.error()));
      layer.similarity().ifPresent(s -> l.addProperty("similarity", rounded(s)));
      JsonArray heads = new JsonArray();
      for (Calibration.Head head : layer.heads()) {
        JsonObject h = new JsonObject();
        h.addProperty("near", rounded(head.near()));
        h.addProperty("far", rounded(head.far()));
        h.addProperty("needle", rounded(head.needle()));
        heads.add(h);
      }
      l.add("heads", heads);
      layers.add(l);
    }
    root.add("layers", layers);
    Path partial =
        Files.createTempFile(
            Objects.requireNonNull(place.toAbsolutePath().getParent()), "kv", ".part");
    try {
      Files.writeString(
          partial, new GsonBuilder().setPrettyPrinting().create().toJson(root) + "\n");
      Files.move(partial, place, StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(partial);
    }
  }

  /** Six digits are more than prompts agree in. */
  private static double rounded(double value) {
    return Math.rint(value * 1e6) / 1e6;
  }

  /**
   * Reads what {@link #write} wrote.
   *
   * @throws ModelFileException if there is none, or it is damaged or of another version
   */
  public static Calibration read(Path path) {
    JsonObject root = Json.object(path, LARGEST);
    try {
      return Json.guard(path, () -> read(path, root));
    } catch (IllegalArgumentException e) {
      throw new ModelFileException(path, "content", String.valueOf(e.getMessage()), e);
    }
  }

  private static Calibration read(Path path, JsonObject root) {
    int version = Json.member(root, "version").getAsInt();
    if (version != VERSION) {
      throw new ModelFileException(
          path, "version", "%d is not supported, only %d".formatted(version, VERSION));
    }
    List<Calibration.Layer> layers = new ArrayList<>();
    for (JsonElement layer : Json.member(root, "layers").getAsJsonArray()) {
      layers.add(layer(layer.getAsJsonObject()));
    }
    return new Calibration(
        Json.member(root, "model").getAsString(),
        Json.member(root, "prompts").getAsInt(),
        Json.member(root, "right").getAsInt(),
        layers);
  }

  private static Calibration.Layer layer(JsonObject layer) {
    List<Calibration.Head> heads = new ArrayList<>();
    for (JsonElement element : Json.member(layer, "heads").getAsJsonArray()) {
      JsonObject head = element.getAsJsonObject();
      heads.add(
          new Calibration.Head(number(head, "near"), number(head, "far"), number(head, "needle")));
    }
    OptionalDouble similarity =
        layer.has("similarity")
            ? OptionalDouble.of(number(layer, "similarity"))
            : OptionalDouble.empty();
    return new Calibration.Layer(
        number(layer, "spread"), number(layer, "error"), similarity, heads);
  }

  private static double number(JsonObject object, String name) {
    return Json.member(object, name).getAsDouble();
  }
}
