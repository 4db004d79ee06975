package dev.knapsack.serve.http;

import com.google.gson.stream.JsonWriter;
import java.io.IOException;

/** A body that is sent while it is written, and so is never in memory as a whole. */
@FunctionalInterface
public interface JsonBody {
  void write(JsonWriter out) throws IOException;
}
