package dev.knapsack.file;

import dev.knapsack.error.ModelFileException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** The place of a file that is written beside it and moved there when it is whole. */
public final class FilePlace {
  private FilePlace() {}

  /**
   * The place that a name stands for: where it is a link, what that points to, so that the link
   * stays one.
   *
   * @throws ModelFileException if something is there that no file may take the place of, such as a
   *     folder or a device
   */
  public static Path of(Path named) {
    if (!Files.exists(named)) {
      return named;
    }
    Path place;
    try {
      place = named.toRealPath();
    } catch (IOException e) {
      throw new ModelFileException(named, "file", "cannot be written: " + e, e);
    }
    if (!Files.isRegularFile(place)) {
      throw new ModelFileException(
          named,
          "file",
          "cannot be written: %s is there, and the finished file would take its place; name a file"
              .formatted(Files.isDirectory(place) ? "a folder" : "a device or pipe"));
    }
    return place;
  }
}
