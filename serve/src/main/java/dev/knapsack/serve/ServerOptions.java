package dev.knapsack.serve;

import dev.knapsack.serve.http.HttpListener;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;

/** Choices in opening a server: a value that {@code with…} derives others from. */
public final class ServerOptions {
  private static final int HEADER_BYTES = 32 << 10;
  private static final int IDLE_SECONDS = 60;
  private static final int CONNECTIONS = 10_000;

  String address = "127.0.0.1";
  int port = 8080;
  List<ApiKey> keys = List.of();
  int bodyBytes = 32 << 20;
  Optional<Path> keyStore = Optional.empty();
  String keyStorePassword = "";
  Set<String> origins = Set.of();
  PrintStream log = System.err;
  boolean jsonLog;
  Optional<FileFolder> files = Optional.empty();

  private ServerOptions() {}

  /** Port 8080 of this machine alone, for everybody on it, and a log on standard error. */
  public static ServerOptions usual() {
    return new ServerOptions();
  }

  private ServerOptions with(Consumer<ServerOptions> change) {
    ServerOptions copy = new ServerOptions();
    copy.address = address;
    copy.port = port;
    copy.keys = keys;
    copy.bodyBytes = bodyBytes;
    copy.keyStore = keyStore;
    copy.keyStorePassword = keyStorePassword;
    copy.origins = origins;
    copy.log = log;
    copy.jsonLog = jsonLog;
    copy.files = files;
    change.accept(copy);
    return copy;
  }

  /** An address to listen on, and a port; 0 for any that is free. */
  public ServerOptions withAddress(String host, int onPort) {
    return with(o -> {
      o.address = host;
      o.port = onPort;
    });
  }

  /** Keys of whom is served; everybody where there are none. */
  public ServerOptions withKeys(List<ApiKey> value) {
    return with(o -> o.keys = value);
  }

  /** Most bytes of a request's body. */
  public ServerOptions withBodyBytes(int value) {
    return with(o -> o.bodyBytes = value);
  }

  /** A PKCS12 file with the certificate for TLS. */
  public ServerOptions withTls(Path store, String password) {
    return with(o -> {
      o.keyStore = Optional.of(store);
      o.keyStorePassword = password;
    });
  }

  /** Origins whose pages may call; none by default. */
  public ServerOptions withOrigins(Set<String> value) {
    return with(o -> o.origins = value);
  }

  /** A stream that takes one line for each request, in JSON or in words. */
  public ServerOptions withLog(PrintStream stream, boolean json) {
    return with(o -> {
      o.log = stream;
      o.jsonLog = json;
    });
  }

  /** A folder of uploaded files and results of batches; without it there are none. */
  public ServerOptions withFiles(FileFolder value) {
    return with(o -> o.files = Optional.of(value));
  }

  HttpListener.Settings http() {
    return new HttpListener.Settings(
        address,
        port,
        bodyBytes,
        HEADER_BYTES,
        IDLE_SECONDS,
        CONNECTIONS,
        keyStore,
        keyStorePassword,
        origins);
  }
}
