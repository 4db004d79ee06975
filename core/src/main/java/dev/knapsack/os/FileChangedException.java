package dev.knapsack.os;

import java.io.IOException;
import java.nio.file.Path;

/** Thrown when a file is no longer the one that was opened. */
public final class FileChangedException extends IOException {
  FileChangedException(Path file, String change) {
    super(file + " changed while it was in use: " + change + ". Open it again.");
  }
}
