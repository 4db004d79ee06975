package dev.knapsack.cache.store;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;

/** The part of the file system that a store needs; tests put a full one in its place. */
interface Disk {
  Disk OF_THIS_MACHINE =
      new Disk() {
        @Override
        public FileChannel create(Path file) throws IOException {
          // What was said in a chat can be read from its cache: it is its owner's alone.
          FileAttribute<?>[] ownersAlone =
              file.getFileSystem().supportedFileAttributeViews().contains("posix")
                  ? new FileAttribute<?>[] {
                    PosixFilePermissions.asFileAttribute(
                        PosixFilePermissions.fromString("rw-------"))
                  }
                  : new FileAttribute<?>[0];
          return FileChannel.open(
              file,
              Set.of(
                  StandardOpenOption.CREATE,
                  StandardOpenOption.TRUNCATE_EXISTING,
                  StandardOpenOption.WRITE),
              ownersAlone);
        }

        @Override
        public long free(Path directory) throws IOException {
          return Files.getFileStore(directory).getUsableSpace();
        }
      };

  /** Opens an empty file to write, whether there was one or not. */
  FileChannel create(Path file) throws IOException;

  /** Bytes that can still be written. */
  long free(Path directory) throws IOException;
}
