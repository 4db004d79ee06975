package dev.knapsack.serve.openai;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.stream.JsonWriter;
import dev.knapsack.Embedding;
import dev.knapsack.EmbeddingRequest;
import dev.knapsack.EmbeddingRequest.LongTexts;
import dev.knapsack.serve.EmbeddingFields;
import dev.knapsack.serve.ServedEmbedder;
import dev.knapsack.serve.ServedModels;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.serve.http.Fields;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Base64;
import java.util.List;
import java.util.Set;

/** {@code POST /v1/embeddings}: vectors of texts. */
public final class Embeddings {
  /** The path in batches, too. */
  public static final String PATH = "/v1/embeddings";

  private final ServedModels models;

  public Embeddings(ServedModels models) {
    this.models = models;
  }

  /**
   * A request that was read.
   *
   * @param base64 whether vectors are to be little-endian float32 in base64, and not lists
   */
  private record Asked(ServedEmbedder model, EmbeddingRequest request, boolean base64) {
    static Asked of(ServedModels models, Fields body) {
      ServedEmbedder model = models.embedder(body.text("model"));
      EmbeddingRequest request = EmbeddingFields.task(body, EmbeddingFields.input(body));
      var dimensions = body.integer("dimensions", 1, model.embedder().dimensions());
      if (dimensions.isPresent()) {
        request = request.withDimensions(dimensions.getAsInt());
      }
      if (!body.flag("truncate", false)) {
        request = request.withLongTexts(LongTexts.REFUSE);
      }
      String format = body.oneOf("encoding_format", "float", Set.of("float", "base64"));
      return new Asked(model, request, format.equals("base64"));
    }

    void write(JsonWriter out, List<Embedding> vectors) throws IOException {
      out.beginObject().name("object").value("list").name("data").beginArray();
      for (int i = 0; i < vectors.size(); i++) {
        out.beginObject().name("object").value("embedding").name("index").value(i);
        write(out.name("embedding"), vectors.get(i).vector());
        out.endObject();
      }
      int tokens = ServedEmbedder.tokens(vectors);
      out.endArray().name("model").value(model.name());
      out.name("usage").beginObject();
      out.name("prompt_tokens").value(tokens).name("total_tokens").value(tokens).endObject();
      out.endObject();
    }

    private void write(JsonWriter out, float[] vector) throws IOException {
      if (base64) {
        ByteBuffer bytes =
            ByteBuffer.allocate(vector.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(vector);
        out.value(Base64.getEncoder().encodeToString(bytes.array()));
        return;
      }
      out.beginArray();
      for (float x : vector) {
        out.value(x);
      }
      out.endArray();
    }
  }

  /** Answers one request. */
  public void handle(Exchange exchange) {
    Asked asked = Asked.of(models, exchange.fields());
    List<Embedding> vectors = asked.model.embed(exchange, asked.request);
    exchange.json(200, out -> asked.write(out, vectors));
  }

  /** The reply to a body that has come in a file. */
  public static JsonObject reply(ServedModels models, Fields body) {
    Asked asked = Asked.of(models, body);
    StringWriter text = new StringWriter();
    try {
      asked.write(new JsonWriter(text), asked.model.embedder().embed(asked.request));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return JsonParser.parseString(text.toString()).getAsJsonObject();
  }
}
