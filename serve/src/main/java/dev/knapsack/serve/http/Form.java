package dev.knapsack.serve.http;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Optional;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.MultiPart;
import org.eclipse.jetty.http.MultiPartConfig;
import org.eclipse.jetty.http.MultiPartFormData;
import org.eclipse.jetty.server.Request;

/** A form with texts and files, whose large parts are on disk while they are read. */
public final class Form implements AutoCloseable {
  private static final int TEXT_BYTES = 64 << 10;
  private static final int PARTS = 100;

  private final MultiPartFormData.Parts parts;

  private Form(MultiPartFormData.Parts parts) {
    this.parts = parts;
  }

  static Form read(Request request, Path folder) {
    String type = Optional.ofNullable(request.getHeaders().get(HttpHeader.CONTENT_TYPE)).orElse("");
    if (!type.startsWith("multipart/form-data")) {
      throw refusal("it is '%s'".formatted(type));
    }
    MultiPartConfig config =
        new MultiPartConfig.Builder()
            .location(folder)
            .maxParts(PARTS)
            .maxSize(-1)
            .maxPartSize(-1)
            .maxMemoryPartSize(TEXT_BYTES)
            .build();
    try {
      return new Form(MultiPartFormData.getParts(request, request, type, config));
    } catch (RuntimeException e) {
      if (e.getCause() instanceof IOException gone) {
        throw new UncheckedIOException(gone);
      }
      throw refusal("it cannot be read as one");
    }
  }

  private static Refusal refusal(String why) {
    return Refusal.of(
        Refusal.Kind.BAD_REQUEST,
        "invalid_form",
        "The body must be of the type multipart/form-data; %s.".formatted(why));
  }

  /** A text of the form. */
  public Optional<String> text(String name) {
    return part(name).map(part -> part.getContentAsString(StandardCharsets.UTF_8));
  }

  private Optional<MultiPart.Part> part(String name) {
    return Optional.ofNullable(parts.getFirst(name));
  }

  /** The name that a file of the form had at the client's; empty if there is no such file. */
  public Optional<String> fileName(String name) {
    return part(name).map(part -> Optional.ofNullable(part.getFileName()).orElse(name));
  }

  /** Bytes of a part. */
  public long length(String name) {
    return part(name).orElseThrow().getLength();
  }

  /** Writes a part that there is to a path. */
  public void write(String name, Path to) {
    try {
      part(name).orElseThrow().writeTo(to);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    parts.close();
  }
}
