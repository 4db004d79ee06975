package dev.knapsack.serve.http;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import com.google.gson.stream.JsonWriter;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.io.StringReader;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;

/**
 * One request and the answer to it. The answer is begun once, as a whole or as a {@link
 * EventStream}; for the thread that handles it.
 */
public final class Exchange {
  /** Bytes of a file that are in memory at once. */
  private static final int PIECE = 64 << 10;

  private final Request request;
  private final Response response;
  private final Departures departures;
  private final int bodyLimit;
  private final Map<String, String> variables;
  private final Receipt receipt = new Receipt();
  private final Queue<Departures.Watch> watches = new ConcurrentLinkedQueue<>();

  Exchange(
      Request request,
      Response response,
      Departures departures,
      int bodyLimit,
      Map<String, String> variables) {
    this.request = request;
    this.response = response;
    this.departures = departures;
    this.bodyLimit = bodyLimit;
    this.variables = variables;
  }

  public String method() {
    return request.getMethod();
  }

  public String path() {
    return Request.getPathInContext(request);
  }

  /** The part of the path that its route calls so. */
  public String variable(String name) {
    return Optional.ofNullable(variables.get(name)).orElseThrow();
  }

  public Optional<String> header(String name) {
    return Optional.ofNullable(request.getHeaders().get(name));
  }

  /** A parameter of the query. */
  public Optional<String> parameter(String name) {
    return Optional.ofNullable(Request.extractQueryParameters(request).getValue(name));
  }

  /** The facts that the log has of this exchange when it ends. */
  public Receipt receipt() {
    return receipt;
  }

  /**
   * The body.
   *
   * @throws Refusal if it is longer than the server takes
   */
  public byte[] bytes() {
    if (request.getLength() > bodyLimit) {
      throw tooLarge();
    }
    try (InputStream in = Content.Source.asInputStream(request)) {
      byte[] bytes = in.readNBytes(bodyLimit + 1);
      if (bytes.length > bodyLimit) {
        throw tooLarge();
      }
      return bytes;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Refusal tooLarge() {
    return Refusal.of(
        Refusal.Kind.TOO_LARGE,
        "body_too_large",
        "The body has more than %,d bytes, which is the most that this server takes."
            .formatted(bodyLimit));
  }

  /**
   * The parts of a body of the type {@code multipart/form-data}.
   *
   * @param folder where files among them are until the form is closed
   * @throws Refusal if it is of another type
   */
  public Form form(Path folder) {
    return Form.read(request, folder);
  }

  /**
   * The fields of the body, which is a JSON object.
   *
   * @throws Refusal if it is none, or one nested too deeply
   */
  public Fields fields() {
    return Fields.of(parse(bytes()));
  }

  private static JsonObject parse(byte[] bytes) {
    try {
      String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
      JsonReader reader = new JsonReader(new StringReader(text));
      JsonElement value = JsonParser.parseReader(reader);
      if (value instanceof JsonObject object && reader.peek() == JsonToken.END_DOCUMENT) {
        return object;
      }
      throw notJson("it is no object");
    } catch (CharacterCodingException e) {
      throw notJson("it is no UTF-8");
    } catch (JsonParseException | IOException | IllegalStateException e) {
      throw notJson("it cannot be read as one");
    }
  }

  private static Refusal notJson(String why) {
    return Refusal.of(
        Refusal.Kind.BAD_REQUEST,
        "invalid_json",
        "The body must be a JSON object; %s.".formatted(why));
  }

  /** Calls this, once, when whoever asked is gone; from another thread, as soon as it is seen. */
  public Departures.Watch watch(Runnable gone) {
    Object transport = request.getConnectionMetaData().getConnection().getEndPoint().getTransport();
    Departures.Watch watch =
        departures.watch(
            transport instanceof SocketChannel channel ? channel : null, request.isSecure(), gone);
    watches.add(watch);
    return watch;
  }

  /** Closes the connection if nothing more can be read from it. */
  void end() {
    if (isSpoiled()) {
      request.getConnectionMetaData().getConnection().getEndPoint().close();
    }
  }

  private boolean isSpoiled() {
    return watches.stream().anyMatch(Departures.Watch::spoiled);
  }

  public void header(String name, String value) {
    response.getHeaders().put(name, value);
  }

  /** Says whether an answer has begun. */
  public boolean begun() {
    return response.isCommitted();
  }

  /** Answers with JSON. */
  public void json(int status, JsonElement body) {
    bytes(status, "application/json", body.toString().getBytes(StandardCharsets.UTF_8));
  }

  /** Answers with JSON that is sent while it is written. */
  public void json(int status, JsonBody body) {
    response.setStatus(status);
    response.getHeaders().put(HttpHeader.CONTENT_TYPE, "application/json");
    receipt.status(status);
    OutputStream pieces =
        new OutputStream() {
          @Override
          public void write(int b) {
            write(new byte[] {(byte) b}, 0, 1);
          }

          @Override
          public void write(byte[] bytes, int from, int count) {
            Exchange.this.write(false, Arrays.copyOfRange(bytes, from, from + count));
          }
        };
    try (JsonWriter out =
        new JsonWriter(
            new OutputStreamWriter(
                new BufferedOutputStream(pieces, PIECE), StandardCharsets.UTF_8))) {
      body.write(out);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    write(true, new byte[0]);
  }

  /** Answers with bytes of a media type. */
  public void bytes(int status, String type, byte[] body) {
    response.setStatus(status);
    response.getHeaders().put(HttpHeader.CONTENT_TYPE, type);
    receipt.status(status);
    write(true, body);
  }

  /** Answers with the bytes of a file. */
  public void file(String type, Path path) {
    try (InputStream in = Files.newInputStream(path)) {
      response.setStatus(200);
      response.getHeaders().put(HttpHeader.CONTENT_TYPE, type);
      response.getHeaders().put(HttpHeader.CONTENT_LENGTH, Files.size(path));
      receipt.status(200);
      for (byte[] piece = in.readNBytes(PIECE); piece.length > 0; piece = in.readNBytes(PIECE)) {
        write(false, piece);
      }
      write(true, new byte[0]);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Begins an answer of server-sent events; the headers are sent at once. */
  public EventStream events() {
    return begin("text/event-stream", true);
  }

  /** Begins an answer of JSON values, one a line; the headers are sent at once. */
  public EventStream lines() {
    return begin("application/x-ndjson", false);
  }

  private EventStream begin(String type, boolean comments) {
    response.setStatus(200);
    response.getHeaders().put(HttpHeader.CONTENT_TYPE, type);
    response.getHeaders().put(HttpHeader.CACHE_CONTROL, "no-cache");
    response.getHeaders().put("X-Accel-Buffering", "no");
    receipt.status(200);
    write(false, new byte[0]);
    return new EventStream(this, departures, comments);
  }

  void write(boolean last, byte[] bytes) {
    if (last) {
      leave();
    }
    try {
      Content.Sink.write(response, last, ByteBuffer.wrap(bytes));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Leaves the connection to its next request, or to its end if that was spoiled. */
  private void leave() {
    watches.forEach(Departures.Watch::close);
    if (isSpoiled() && !begun()) {
      response.getHeaders().put(HttpHeader.CONNECTION, "close");
    }
  }
}
