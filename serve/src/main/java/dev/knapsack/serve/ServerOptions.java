package dev.knapsack.serve;

import dev.knapsack.serve.http.HttpListener;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Choices in opening a server: a value that {@code with…} derives others from.
 *
 * @param address to listen on
 * @param port to listen on; 0 for any that is free
 * @param keys of whom is served; everybody where there are none
 * @param bodyBytes most bytes of a request's body
 * @param connections most connections at once
 * @param keyStore PKCS12 file with the certificate for TLS
 * @param origins origins whose pages may call; none by default
 * @param log takes one line for each request
 * @param jsonLog whether lines are JSON
 * @param files where uploaded files and results of batches are; without it there are none
 */
public record ServerOptions(
    String address,
    int port,
    List<ApiKey> keys,
    int bodyBytes,
    int connections,
    Optional<Path> keyStore,
    String keyStorePassword,
    Set<String> origins,
    PrintStream log,
    boolean jsonLog,
    Optional<FileFolder> files) {
  /** Port 8080 of this machine alone, for everybody on it, and a log on standard error. */
  public static ServerOptions usual() {
    return new ServerOptions(
        "127.0.0.1",
        8080,
        List.of(),
        32 << 20,
        10_000,
        Optional.empty(),
        "",
        Set.of(),
        System.err,
        false,
        Optional.empty());
  }

  public ServerOptions withAddress(String host, int onPort) {
    return new ServerOptions(
        host, onPort, keys, bodyBytes, connections, keyStore, keyStorePassword, origins, log,
        jsonLog, files);
  }

  public ServerOptions withKeys(List<ApiKey> value) {
    return new ServerOptions(
        address, port, value, bodyBytes, connections, keyStore, keyStorePassword, origins, log,
        jsonLog, files);
  }

  public ServerOptions withBodyBytes(int value) {
    return new ServerOptions(
        address, port, keys, value, connections, keyStore, keyStorePassword, origins, log, jsonLog,
        files);
  }

  public ServerOptions withTls(Path store, String password) {
    return new ServerOptions(
        address, port, keys, bodyBytes, connections, Optional.of(store), password, origins, log,
        jsonLog, files);
  }

  public ServerOptions withOrigins(Set<String> value) {
    return new ServerOptions(
        address, port, keys, bodyBytes, connections, keyStore, keyStorePassword, value, log,
        jsonLog, files);
  }

  public ServerOptions withLog(PrintStream stream, boolean json) {
    return new ServerOptions(
        address, port, keys, bodyBytes, connections, keyStore, keyStorePassword, origins, stream,
        json, files);
  }

  public ServerOptions withFiles(FileFolder value) {
    return new ServerOptions(
        address, port, keys, bodyBytes, connections, keyStore, keyStorePassword, origins, log,
        jsonLog, Optional.of(value));
  }

  HttpListener.Settings http() {
    return new HttpListener.Settings(
        address, port, bodyBytes, 32 << 10, 60, connections, keyStore, keyStorePassword, origins);
  }
}
