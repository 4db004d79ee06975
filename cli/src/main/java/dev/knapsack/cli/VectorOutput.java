package dev.knapsack.cli;

import com.google.gson.stream.JsonWriter;
import dev.knapsack.Embedding;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.RandomAccessFile;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** A file of vectors, written as they come: JSON lines, bare numbers, or NumPy's. */
final class VectorOutput implements AutoCloseable {
  /** Bytes before the numbers of a NumPy file: room for any count of rows. */
  private static final int HEADER = 128;

  private enum Form {
    JSON_LINES,
    NUMBERS,
    NUMPY
  }

  private final Form form;
  private final @Nullable Path file;
  private final OutputStream out;
  private final boolean own;
  private int count;
  private int columns;
  private long tokens;
  private int cut;

  private VectorOutput(Form form, @Nullable Path file, OutputStream out, boolean own) {
    this.form = form;
    this.file = file;
    this.out = out;
    this.own = own;
  }

  /** To a file, in the form that its name says; without one, to standard output. */
  static VectorOutput to(@Nullable Path file, PrintStream standard) throws IOException {
    if (file == null) {
      return new VectorOutput(Form.JSON_LINES, null, standard, false);
    }
    String name = file.toString();
    Form form =
        name.endsWith(".npy") ? Form.NUMPY : name.endsWith(".f32") ? Form.NUMBERS : Form.JSON_LINES;
    VectorOutput made =
        new VectorOutput(form, file, new BufferedOutputStream(Files.newOutputStream(file)), true);
    if (form == Form.NUMPY) {
      made.out.write(new byte[HEADER]);
    }
    return made;
  }

  int count() {
    return count;
  }

  long tokens() {
    return tokens;
  }

  /** Texts whose end was left out. */
  int cut() {
    return cut;
  }

  void add(Embedding embedding) {
    try {
      out.write(form == Form.JSON_LINES ? line(embedding) : numbers(embedding.vector()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    count++;
    columns = embedding.vector().length;
    tokens += embedding.tokens();
    cut += embedding.cut() ? 1 : 0;
  }

  private byte[] line(Embedding embedding) throws IOException {
    StringWriter text = new StringWriter();
    JsonWriter json = new JsonWriter(text);
    json.beginObject().name("index").value(count).name("tokens").value(embedding.tokens());
    if (embedding.cut()) {
      json.name("cut").value(true);
    }
    json.name("embedding").beginArray();
    for (float number : embedding.vector()) {
      json.value(number);
    }
    json.endArray().endObject();
    return text.append('\n').toString().getBytes(StandardCharsets.UTF_8);
  }

  private static byte[] numbers(float[] vector) {
    ByteBuffer bytes =
        ByteBuffer.allocate(Float.BYTES * vector.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(vector);
    return bytes.array();
  }

  /** The header of NumPy's format, version 1.0: how many numbers there are. */
  private byte[] header() {
    String text =
        "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }".formatted(count, columns);
    ByteBuffer header = ByteBuffer.allocate(HEADER).order(ByteOrder.LITTLE_ENDIAN);
    header.put((byte) 0x93).put("NUMPY".getBytes(StandardCharsets.US_ASCII));
    header.put((byte) 1).put((byte) 0).putShort((short) (HEADER - header.position() - 2));
    header.put(text.getBytes(StandardCharsets.US_ASCII));
    while (header.remaining() > 1) {
      header.put((byte) ' ');
    }
    return header.put((byte) '\n').array();
  }

  @Override
  public void close() throws IOException {
    if (!own) {
      out.flush();
      return;
    }
    out.close();
    if (form == Form.NUMPY) {
      try (RandomAccessFile whole = new RandomAccessFile(String.valueOf(file), "rw")) {
        whole.write(header());
      }
    }
  }
}
