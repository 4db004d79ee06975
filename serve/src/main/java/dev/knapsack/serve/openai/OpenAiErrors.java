package dev.knapsack.serve.openai;

import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import dev.knapsack.serve.http.ErrorForm;
import dev.knapsack.serve.http.Refusal;
import org.jspecify.annotations.Nullable;

/** OpenAI's form of errors. */
public final class OpenAiErrors implements ErrorForm {
  @Override
  public JsonObject body(Refusal refusal) {
    JsonObject error = new JsonObject();
    error.addProperty("message", refusal.getMessage());
    error.addProperty(
        "type",
        switch (refusal.kind()) {
          case BAD_REQUEST, NOT_FOUND, METHOD, TOO_LARGE -> "invalid_request_error";
          case UNAUTHORIZED -> "authentication_error";
          case BUSY -> "rate_limit_error";
          case FAILED, CLOSING -> "server_error";
        });
    nullable(error, "param", refusal.field().orElse(null));
    error.addProperty("code", refusal.code());
    JsonObject body = new JsonObject();
    body.add("error", error);
    return body;
  }

  private static void nullable(JsonObject object, String name, @Nullable String value) {
    if (value == null) {
      object.add(name, JsonNull.INSTANCE);
    } else {
      object.addProperty(name, value);
    }
  }
}
