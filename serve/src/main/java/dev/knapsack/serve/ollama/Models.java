package dev.knapsack.serve.ollama;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.knapsack.Knapsack;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.serve.Served;
import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.ServedModels;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.serve.http.Json;
import dev.knapsack.text.answer.AnswerForm;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;

/** {@code /api/tags}, {@code /api/ps}, {@code /api/show}: the models that there are. */
public final class Models {
  /** The version of Ollama whose API this is, which clients compare with what they need. */
  private static final String VERSION = "0.12.0";

  /** Models are open until the server ends, which nobody knows. */
  private static final Duration FOREVER = Duration.ofDays(36_500);

  private final ServedModels models;

  public Models(ServedModels models) {
    this.models = models;
  }

  /** All models. */
  public void tags(Exchange exchange) {
    list(exchange, Models::listed);
  }

  /** Those that are open: all. */
  public void running(Exchange exchange) {
    list(
        exchange,
        model -> {
          JsonObject running = listed(model);
          running.remove("modified_at");
          running.addProperty("size", model.plan().bytes());
          running.addProperty("size_vram", 0);
          running.addProperty("expires_at", Instant.now().plus(FOREVER).toString());
          running.addProperty("context_length", model.plan().context());
          return running;
        });
  }

  private void list(Exchange exchange, Function<Served, JsonObject> form) {
    exchange.json(200, Json.object("models", Json.array(models.all().stream().map(form).toList())));
  }

  private static JsonObject listed(Served model) {
    String name = ModelNames.tagged(model);
    long bytes = tensors(model).stream().mapToLong(TensorInfo::bytes).sum();
    return Json.object(
        "name",
        name,
        "model",
        name,
        "modified_at",
        model.opened().toString(),
        "size",
        bytes,
        "digest",
        digest(name + " " + bytes),
        "details",
        details(model));
  }

  private static Collection<TensorInfo> tensors(Served model) {
    return model.file().tensors().values();
  }

  /** A digest of what a model is known by: its file is not read as a whole. */
  private static String digest(String text) {
    try {
      return HexFormat.of()
          .formatHex(
              MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private static JsonObject details(Served model) {
    String family = model.spec().family();
    return Json.object(
        "parent_model",
        "",
        "format",
        "gguf",
        "family",
        family,
        "families",
        Json.array(Json.text(family)),
        "parameter_size",
        size(parameters(model)),
        "quantization_level",
        format(model));
  }

  private static long parameters(Served model) {
    return tensors(model).stream().mapToLong(TensorInfo::values).sum();
  }

  private static String size(long parameters) {
    return parameters >= 1_000_000_000
        ? String.format(Locale.ROOT, "%.1fB", parameters / 1e9)
        : String.format(Locale.ROOT, "%.1fM", parameters / 1e6);
  }

  /** The format that most of the model's bytes are in. */
  private static String format(Served model) {
    return tensors(model).stream()
        .collect(
            Collectors.groupingBy(
                t -> t.format().name(), Collectors.summingLong(TensorInfo::bytes)))
        .entrySet()
        .stream()
        .max(Comparator.comparingLong(Map.Entry::getValue))
        .map(Map.Entry::getKey)
        .orElse("");
  }

  /** The facts that there are to know of one. */
  public void show(Exchange exchange) {
    Served model = models.any(ModelNames.named(models, exchange.fields()));
    ModelSpec spec = model.spec();
    String family = spec.family();
    exchange.json(
        200,
        Json.object(
            "modified_at", model.opened().toString(),
            "template", model instanceof ServedModel m ? m.knapsack().template(false).source() : "",
            "parameters", "num_ctx %d".formatted(model.plan().context()),
            "capabilities", capabilities(model),
            "details", details(model),
            "model_info",
                Json.object(
                    "general.architecture",
                    family,
                    "general.basename",
                    spec.name(),
                    "general.parameter_count",
                    parameters(model),
                    family + ".context_length",
                    model.plan().context(),
                    family + ".embedding_length",
                    spec.width(),
                    family + ".block_count",
                    spec.layers().size(),
                    family + ".vocab_size",
                    spec.vocabulary())));
  }

  private static JsonArray capabilities(Served served) {
    JsonArray capabilities = new JsonArray();
    if (!(served instanceof ServedModel writer)) {
      capabilities.add(served.kind().word());
      return capabilities;
    }
    Knapsack model = writer.knapsack();
    capabilities.add("completion");
    if (AnswerForm.of(model.template(true).source()).hasCalls()) {
      capabilities.add("tools");
    }
    if (AnswerForm.of(model.template(false).source()).hasReasoning()) {
      capabilities.add("thinking");
    }
    return capabilities;
  }

  /** The API's version. */
  public void version(Exchange exchange) {
    exchange.json(200, Json.object("version", VERSION));
  }
}
