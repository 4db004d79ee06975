package dev.knapsack.serve.http;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.QuietException;
import org.eclipse.jetty.server.AbstractConnectionFactory;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.NetworkConnectionLimit;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.SecureRequestCustomizer;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.ssl.SslContextFactory;
import org.eclipse.jetty.util.thread.VirtualThreadPool;

/** Listens on a port and gives each request to its route, in a virtual thread of its own. */
public final class HttpListener implements AutoCloseable {
  private static final Logger JETTY = Logger.getLogger("org.eclipse.jetty");

  /**
   * The limits of what is read, and where.
   *
   * @param bodyBytes most bytes of a body
   * @param headerBytes most bytes of a request's line and headers
   * @param idleSeconds after which a connection that neither sends nor takes anything is closed
   * @param connections most connections at once
   * @param keyStore PKCS12 file of a certificate and its key; without one, there is no TLS
   * @param origins origins whose pages may call, for CORS; {@code *} for all
   */
  public record Settings(
      String address,
      int port,
      int bodyBytes,
      int headerBytes,
      int idleSeconds,
      int connections,
      Optional<Path> keyStore,
      String keyStorePassword,
      Set<String> origins) {}

  /** Lets an exchange in, or refuses it. */
  @FunctionalInterface
  public interface Gate {
    /**
     * @return what is to be done when the exchange has ended
     * @throws Refusal if it is not let in
     */
    Runnable enter(Exchange exchange);
  }

  private final Settings settings;
  private final Routes routes;
  private final ErrorForm usualErrors;
  private final Gate gate;
  private final BiConsumer<Exchange, String> ended;
  private final Consumer<Throwable> unexpected;
  private final Departures departures = new Departures();
  private final Server server;
  private final ServerConnector connector;

  /**
   * Begins to listen.
   *
   * @param usualErrors the form of errors on paths that nobody serves
   * @param gate lets in all but what is open to everybody
   * @param ended is told of each exchange once it is over, and of the pattern of its path; {@code
   *     other} where there is none
   * @param unexpected is told of problems that are no {@link Refusal}s
   */
  public HttpListener(
      Settings settings,
      Routes routes,
      ErrorForm usualErrors,
      Gate gate,
      BiConsumer<Exchange, String> ended,
      Consumer<Throwable> unexpected) {
    this.settings = settings;
    this.routes = routes;
    this.usualErrors = usualErrors;
    this.gate = gate;
    this.ended = ended;
    this.unexpected = unexpected;
    JETTY.setLevel(Level.WARNING);
    server = new Server(new VirtualThreadPool());
    HttpConfiguration http = new HttpConfiguration();
    http.setSendServerVersion(false);
    http.setSendDateHeader(true);
    http.setRequestHeaderSize(settings.headerBytes());
    HttpConnectionFactory factory = new HttpConnectionFactory(http);
    if (settings.keyStore().isPresent()) {
      SslContextFactory.Server tls = new SslContextFactory.Server();
      tls.setKeyStorePath(settings.keyStore().get().toString());
      tls.setKeyStorePassword(settings.keyStorePassword());
      http.addCustomizer(new SecureRequestCustomizer(false));
      connector =
          new ServerConnector(server, 1, 1, AbstractConnectionFactory.getFactories(tls, factory));
    } else {
      connector = new ServerConnector(server, 1, 1, factory);
    }
    connector.setHost(settings.address());
    connector.setPort(settings.port());
    connector.setIdleTimeout(settings.idleSeconds() * 1000L);
    server.addConnector(connector);
    server.addBean(new NetworkConnectionLimit(settings.connections(), server));
    server.setHandler(new Dispatch());
    server.setStopAtShutdown(false);
    start();
  }

  private void start() {
    try {
      server.start();
    } catch (IOException e) {
      close();
      throw new UncheckedIOException(e);
    } catch (Exception e) {
      close();
      throw new IllegalStateException(e);
    }
  }

  /** The port that it listens on. */
  public int port() {
    return connector.getLocalPort();
  }

  /** Takes no new connections; those that there are go on. */
  public void stopAccepting() {
    connector.close();
  }

  @Override
  public void close() {
    try {
      server.stop();
    } catch (Exception e) {
      unexpected.accept(e);
    } finally {
      departures.close();
    }
  }

  /** The end of a connection, which the log need not be told of: it has its line. */
  private static final class Gone extends IOException implements QuietException {
    Gone(Throwable cause) {
      super(cause);
    }
  }

  private final class Dispatch extends Handler.Abstract {
    @Override
    public boolean handle(Request request, Response response, Callback callback) {
      String path = Request.getPathInContext(request);
      Routes.Match match = routes.find(request.getMethod(), path);
      Exchange exchange =
          new Exchange(
              request,
              response,
              departures,
              settings.bodyBytes(),
              match == null ? Map.of() : match.variables());
      request.addIdleTimeoutListener(_ -> false); // a computation may take longer
      ErrorForm errors = match == null ? routes.errors(path, usualErrors) : match.route().errors();
      try {
        allowOrigin(exchange);
        if (match == null) {
          refuseOrAllow(exchange, path);
        } else {
          serve(match.route(), exchange);
        }
        callback.succeeded();
      } catch (UncheckedIOException e) {
        callback.failed(new Gone(e));
      } catch (RuntimeException | Error e) {
        answer(exchange, errors, e, callback);
      } finally {
        exchange.end();
        ended.accept(exchange, match == null ? "other" : match.route().pattern());
      }
      return true;
    }

    private void serve(Routes.Route route, Exchange exchange) {
      Runnable leave = route.open() ? () -> {} : gate.enter(exchange);
      try {
        route.handler().handle(exchange);
      } finally {
        leave.run();
      }
    }

    private void refuseOrAllow(Exchange exchange, String path) {
      Set<String> methods = routes.methods(path);
      if (exchange.method().equals("OPTIONS") && !methods.isEmpty()) {
        exchange.header("Allow", String.join(", ", methods));
        exchange.bytes(204, "text/plain", new byte[0]);
        return;
      }
      if (methods.isEmpty()) {
        throw Refusal.of(
            Refusal.Kind.NOT_FOUND, "not_found", "There is nothing at %s.".formatted(path));
      }
      exchange.header("Allow", String.join(", ", methods));
      throw Refusal.of(
          Refusal.Kind.METHOD,
          "method_not_allowed",
          "%s takes %s, not %s.".formatted(path, String.join(" and ", methods), exchange.method()));
    }

    private void answer(Exchange exchange, ErrorForm errors, Throwable problem, Callback callback) {
      Refusal refusal = Refusal.of(problem, 1);
      if (refusal.kind() == Refusal.Kind.FAILED) {
        unexpected.accept(problem);
      }
      exchange.receipt().outcome(refusal.code());
      if (exchange.begun()) {
        callback.failed(new Gone(problem));
        return;
      }
      try {
        if (refusal.retrySeconds() > 0) {
          exchange.header(
              HttpHeader.RETRY_AFTER.asString(),
              String.valueOf((int) Math.ceil(Math.min(60, refusal.retrySeconds()))));
          exchange.header(
              "retry-after-ms",
              String.valueOf((long) (1000 * Math.min(60, refusal.retrySeconds()))));
        }
        exchange.json(errors.status(refusal), errors.body(refusal));
        callback.succeeded();
      } catch (UncheckedIOException e) {
        callback.failed(new Gone(e));
      }
    }

    private void allowOrigin(Exchange exchange) {
      Optional<String> origin = exchange.header("Origin");
      if (origin.isPresent()
          && (settings.origins().contains("*") || settings.origins().contains(origin.get()))) {
        exchange.header("Access-Control-Allow-Origin", origin.get());
        exchange.header("Vary", "Origin");
        exchange.header("Access-Control-Allow-Headers", "*, Authorization");
        exchange.header("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS");
      }
    }
  }
}
