package dev.knapsack.file;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpHeaders;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * GET requests that follow redirects themselves: the token goes to its own host alone, and what the
 * hub says about a file before it redirects is kept.
 */
final class HttpAccess implements AutoCloseable {
  private static final int MOST_REDIRECTS = 10;
  private static final Pattern SHA256 = Pattern.compile("\"?([0-9a-fA-F]{64})\"?");

  private final HttpClient client =
      HttpClient.newBuilder()
          .version(HttpClient.Version.HTTP_1_1)
          .followRedirects(HttpClient.Redirect.NEVER)
          .connectTimeout(Duration.ofSeconds(30))
          .build();
  private final StoreSettings settings;

  HttpAccess(StoreSettings settings) {
    this.settings = settings;
  }

  /**
   * The response at the end of all redirects.
   *
   * @param sha256 the SHA-256 of the file's contents, if a host on the way has said it
   */
  record Response(HttpResponse<InputStream> last, Optional<String> sha256)
      implements AutoCloseable {
    int status() {
      return last.statusCode();
    }

    HttpHeaders headers() {
      return last.headers();
    }

    InputStream body() {
      return last.body();
    }

    @Override
    public void close() throws IOException {
      last.body().close();
    }
  }

  Response get(URI address, Map<String, String> headers) throws IOException, InterruptedException {
    URI uri = address;
    Optional<String> sha256 = Optional.empty();
    for (int i = 0; i <= MOST_REDIRECTS; i++) {
      HttpRequest.Builder request =
          HttpRequest.newBuilder(uri)
              .timeout(settings.stall())
              .header("User-Agent", "knapsack")
              .header("Accept-Encoding", "identity");
      headers.forEach(request::header);
      if (settings.token().isPresent() && sameOrigin(uri, settings.endpoint())) {
        request.header("Authorization", "Bearer " + settings.token().get());
      }
      HttpResponse<InputStream> response =
          client.send(request.build(), HttpResponse.BodyHandlers.ofInputStream());
      Optional<String> linked =
          response.headers().firstValue("X-Linked-Etag").flatMap(HttpAccess::sha256);
      sha256 = linked.isPresent() ? linked : sha256;
      Optional<String> location = response.headers().firstValue("Location");
      if (!isRedirect(response.statusCode()) || location.isEmpty()) {
        return new Response(response, sha256);
      }
      response.body().close();
      uri = redirected(address, uri, location.get());
    }
    throw new DownloadException(address.toString(), "more than " + MOST_REDIRECTS + " redirects");
  }

  /** The failure that says what a user can do about an answer that is no success. */
  DownloadException refused(URI uri, int status) {
    boolean hub = sameOrigin(uri, settings.endpoint());
    String token = settings.token().isPresent() ? "the token in HF_TOKEN" : "a token in HF_TOKEN";
    String advice =
        switch (status) {
          case 401 ->
              hub
                  ? "there is no such model, or it is private and needs "
                      + token
                      + " that may read it"
                  : "the server asks for a login, which is not supported here";
          case 403 ->
              hub
                  ? "access is refused: accept the model's terms on its page, and set HF_TOKEN to a"
                      + " token of that account"
                  : "the server refuses access";
          case 404 -> "there is no such file; check the name";
          default -> "an answer that is not understood";
        };
    return new DownloadException(uri.toString(), "the server answers " + status + ": " + advice);
  }

  @Override
  public void close() {
    client.shutdownNow();
    client.close();
  }

  private static Optional<String> sha256(String etag) {
    Matcher matcher = SHA256.matcher(etag);
    return matcher.matches() ? Optional.of(matcher.group(1)) : Optional.empty();
  }

  private static URI redirected(URI address, URI from, String location) {
    URI to;
    try {
      to = from.resolve(location);
    } catch (IllegalArgumentException e) {
      throw new DownloadException(
          address.toString(), "is redirected to '" + location + "', which is no address", e);
    }
    boolean web = "https".equals(to.getScheme()) || "http".equals(to.getScheme());
    if (!web || ("https".equals(from.getScheme()) && !"https".equals(to.getScheme()))) {
      throw new DownloadException(
          address.toString(), "is redirected to " + to + ", which is not a safe https address");
    }
    return to;
  }

  private static boolean isRedirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
  }

  private static boolean sameOrigin(URI a, URI b) {
    return a.getScheme().equalsIgnoreCase(b.getScheme())
        && a.getHost().equalsIgnoreCase(b.getHost())
        && a.getPort() == b.getPort();
  }
}
