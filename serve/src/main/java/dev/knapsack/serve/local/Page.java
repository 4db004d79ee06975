package dev.knapsack.serve.local;

import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.http.Exchange;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;

/** {@code GET /}: a page to chat with the models and to watch the budget; it asks nobody else. */
public final class Page {
  private static final String RESOURCE = "page.html";

  private final byte[] html;

  public Page() {
    try (InputStream in = ServedModel.class.getResourceAsStream(RESOURCE)) {
      if (in == null) {
        throw new IllegalStateException("this build has no " + RESOURCE);
      }
      html = in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Answers with the page. */
  public void show(Exchange exchange) {
    exchange.header(
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src"
            + " 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action"
            + " 'none'");
    exchange.bytes(200, "text/html; charset=utf-8", html);
  }
}
