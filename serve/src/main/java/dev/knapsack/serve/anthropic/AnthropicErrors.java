package dev.knapsack.serve.anthropic;

import com.google.gson.JsonObject;
import dev.knapsack.serve.http.ErrorForm;
import dev.knapsack.serve.http.Json;
import dev.knapsack.serve.http.Refusal;

/** Anthropic's form of errors. */
public final class AnthropicErrors implements ErrorForm {
  /** Too much to do, for which HTTP has no status that means the same. */
  private static final int OVERLOADED = 529;

  @Override
  public JsonObject body(Refusal refusal) {
    return Json.object(
        "type",
        "error",
        "error",
        Json.object("type", type(refusal), "message", refusal.getMessage()));
  }

  private static String type(Refusal refusal) {
    return switch (refusal.kind()) {
      case BAD_REQUEST, METHOD -> "invalid_request_error";
      case UNAUTHORIZED -> "authentication_error";
      case NOT_FOUND -> "not_found_error";
      case TOO_LARGE -> "request_too_large";
      case BUSY -> refusal.isRateLimit() ? "rate_limit_error" : "overloaded_error";
      case FAILED -> "api_error";
      case CLOSING -> "overloaded_error";
    };
  }

  @Override
  public int status(Refusal refusal) {
    return type(refusal).equals("overloaded_error") ? OVERLOADED : refusal.kind().status();
  }
}
