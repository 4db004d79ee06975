package dev.knapsack.file;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileLockInterruptionException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * One file on its way from a server to its place on disk.
 *
 * <p>The bytes gather in a {@link PartFile}. A connection that breaks is made anew and goes on
 * where it stopped, now or in a later run, if the server still has the same version (RFC 9110,
 * {@code Range} with {@code If-Range}); otherwise the file starts over. It takes its place when it
 * is whole and has the right SHA-256.
 */
final class Download {
  private static final int CHUNK = 1 << 16;
  private static final long REPORT_EVERY = 1 << 18;
  private static final Pattern RANGE =
      Pattern.compile("bytes (?:(\\d{1,18})-\\d+|\\*)/(\\d{1,18})");
  private static final Pattern VERSION = Pattern.compile("[\\x20-\\x7e]+");

  private final HttpAccess http;
  private final StoreSettings settings;
  private final URI uri;
  private final Path target;
  private final DownloadProgress progress;
  private Optional<String> sha256;
  private boolean startedOver;

  Download(
      HttpAccess http,
      StoreSettings settings,
      URI uri,
      Path target,
      Optional<String> sha256,
      DownloadProgress progress) {
    this.http = http;
    this.settings = settings;
    this.uri = uri;
    this.target = target;
    this.sha256 = sha256;
    this.progress = progress;
  }

  /**
   * Fetches the file.
   *
   * @throws DownloadException if that fails for good; what has come is kept for the next run
   */
  void run() throws InterruptedException {
    try (PartFile part = PartFile.open(target)) {
      if (Files.exists(target)) {
        checkCome();
      } else {
        fetch(part);
      }
    } catch (ClosedByInterruptException | FileLockInterruptionException e) {
      throw interrupted(e);
    } catch (IOException e) {
      throw new DownloadException(
          uri.toString(), "cannot be stored as " + target + ": " + e + free(), e);
    }
    progress.at(name(), size(), size());
  }

  /**
   * Checks the file that another download has fetched meanwhile, which may have expected something
   * else.
   */
  private void checkCome() throws IOException {
    if (sha256.isPresent()) {
      String found = Sha256.of(target);
      if (!found.equalsIgnoreCase(sha256.get())) {
        throw new DownloadException(
            uri.toString(),
            "has come as %s meanwhile, whose SHA-256 is %s and not %s"
                .formatted(target, found, sha256.get()));
      }
    }
  }

  private void fetch(PartFile part) throws IOException, InterruptedException {
    boolean resumed = part.length() > 0;
    transfer(part);
    Optional<String> damage = damage(part);
    if (damage.isPresent() && resumed) {
      // What an earlier run had left may be the damaged piece: once more, from the start.
      part.restart(Optional.empty());
      transfer(part);
      damage = damage(part);
    }
    if (damage.isPresent()) {
      part.restart(Optional.empty());
      throw new DownloadException(uri.toString(), damage.get());
    }
    part.finish();
  }

  private static InterruptedException interrupted(IOException cause) {
    InterruptedException interrupted = new InterruptedException(cause.toString());
    interrupted.initCause(cause);
    return interrupted;
  }

  private void transfer(PartFile part) throws IOException, InterruptedException {
    Attempts attempts = new Attempts(settings, uri);
    while (true) {
      long before = part.length();
      startedOver = false;
      try {
        attempt(part);
        return;
      } catch (PassingFailure e) {
        if (part.length() > before && !startedOver) {
          attempts.progressed();
        }
        attempts.failed(e, "Run it again to go on from byte %,d".formatted(part.length()));
      }
    }
  }

  /** Makes one connection and takes all that comes of it. */
  private void attempt(PartFile part) throws IOException, InterruptedException, PassingFailure {
    try (HttpAccess.Response response = ask(part)) {
      if (sha256.isEmpty()) {
        sha256 = response.sha256();
      }
      long total =
          switch (response.status()) {
            case 200 -> {
              if (part.length() > 0 && isPage(response)) {
                throw new PassingFailure("the server sends a web page in place of the rest");
              }
              restart(part, version(response));
              yield response.headers().firstValueAsLong("Content-Length").orElse(-1);
            }
            case 206 -> rest(part, response);
            case 416 -> unsatisfiable(part, response);
            default -> throw refused(response);
          };
      progress.at(name(), part.length(), total);
      if (total == part.length()) {
        return;
      }
      checkRoom(total - part.length());
      receive(part, response.body(), total);
    }
  }

  /**
   * Says whether an answer is a page, such as one that says to come back later: what has come is
   * not thrown away for it.
   */
  private static boolean isPage(HttpAccess.Response response) {
    return response
        .headers()
        .firstValue("Content-Type")
        .filter(type -> type.toLowerCase(Locale.ROOT).startsWith("text/html"))
        .isPresent();
  }

  private void restart(PartFile part, Optional<String> version) throws IOException {
    startedOver |= part.length() > 0;
    part.restart(version);
  }

  private HttpAccess.Response ask(PartFile part)
      throws IOException, InterruptedException, PassingFailure {
    Map<String, String> headers = new HashMap<>();
    Optional<String> version =
        part.version().filter(v -> VERSION.matcher(v).matches()).filter(v -> part.length() > 0);
    if (version.isPresent()) {
      headers.put("Range", "bytes=" + part.length() + "-");
      headers.put("If-Range", version.get());
    } else {
      restart(part, Optional.empty());
    }
    try {
      return http.get(uri, headers);
    } catch (IOException e) {
      throw new PassingFailure("cannot be reached", e);
    }
  }

  /** The length of the whole file, of which the answer holds the rest. */
  private static long rest(PartFile part, HttpAccess.Response response)
      throws IOException, PassingFailure {
    Matcher range = range(response);
    if (range.matches()
        && range.group(1) != null
        && Long.parseLong(range.group(1)) == part.length()) {
      return Long.parseLong(range.group(2));
    }
    part.restart(Optional.empty());
    throw new PassingFailure("the server sent another range than it was asked for");
  }

  /** There is nothing after what is here: either it is whole, or the file is another one now. */
  private static long unsatisfiable(PartFile part, HttpAccess.Response response)
      throws IOException, PassingFailure {
    Matcher range = range(response);
    if (range.matches() && Long.parseLong(range.group(2)) == part.length()) {
      return part.length();
    }
    part.restart(Optional.empty());
    throw new PassingFailure("the server has a shorter file now");
  }

  private static Matcher range(HttpAccess.Response response) {
    return RANGE.matcher(response.headers().firstValue("Content-Range").orElse(""));
  }

  private void receive(PartFile part, InputStream body, long total)
      throws IOException, PassingFailure {
    byte[] chunk = new byte[CHUNK];
    long reported = part.length();
    try (StallGuard guard = new StallGuard(body, settings.stall())) {
      while (true) {
        int read;
        try {
          read = body.read(chunk);
        } catch (IOException e) {
          throw new PassingFailure(
              guard.stalled()
                  ? "nothing came for " + settings.stall().toSeconds() + " seconds"
                  : "the connection broke at byte " + part.length(),
              e);
        }
        if (read < 0) {
          break;
        }
        guard.moved();
        part.append(chunk, read);
        if (part.length() - reported >= REPORT_EVERY) {
          reported = part.length();
          progress.at(name(), reported, total);
        }
      }
    }
    if (total >= 0 && part.length() < total) {
      throw new PassingFailure("the connection ended at byte " + part.length() + " of " + total);
    }
    if (total >= 0 && part.length() > total) {
      part.restart(Optional.empty());
      throw new PassingFailure("the server sent more than the " + total + " bytes it announced");
    }
  }

  /** A strong ETag, or else the date of the last change. */
  private static Optional<String> version(HttpAccess.Response response) {
    return response
        .headers()
        .firstValue("ETag")
        .filter(etag -> etag.startsWith("\""))
        .or(() -> response.headers().firstValue("Last-Modified"));
  }

  private DownloadException refused(HttpAccess.Response response) throws PassingFailure {
    Optional<PassingFailure> passing = PassingFailure.of(response);
    if (passing.isPresent()) {
      throw passing.get();
    }
    return http.refused(uri, response.status());
  }

  private Optional<String> damage(PartFile part) throws IOException {
    Optional<String> other = ModelBytes.problem(target, part.source());
    if (other.isPresent()) {
      boolean link = uri.getPath().contains("/blob/");
      return Optional.of(
          "%s. It was thrown away; %s"
              .formatted(
                  other.get(),
                  link
                      ? "the file itself is at the address with /resolve/ in place of /blob/"
                      : "check the address, or try again later"));
    }
    if (sha256.isEmpty()) {
      return Optional.empty();
    }
    String found = part.digest();
    return found.equalsIgnoreCase(sha256.get())
        ? Optional.empty()
        : Optional.of(
            "damaged: its SHA-256 is "
                + found
                + " and should be "
                + sha256.get()
                + ". It was thrown away; run it again to fetch it anew");
  }

  private void checkRoom(long needed) throws IOException {
    long free = Files.getFileStore(target.toAbsolutePath().getParent()).getUsableSpace();
    if (needed > free) {
      throw new DownloadException(
          uri.toString(),
          "needs %,d more bytes, and the disk of %s has %,d free; what has come is kept"
              .formatted(needed, target, free));
    }
  }

  private String free() {
    try {
      return " (%,d bytes are free there)"
          .formatted(Files.getFileStore(target.toAbsolutePath().getParent()).getUsableSpace());
    } catch (IOException e) {
      return "";
    }
  }

  private String name() {
    return String.valueOf(target.getFileName());
  }

  private long size() {
    try {
      return Files.size(target);
    } catch (IOException e) {
      return -1;
    }
  }
}
