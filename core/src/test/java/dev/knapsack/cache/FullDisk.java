package dev.knapsack.cache;

import dev.knapsack.memory.Account;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.function.Consumer;
import org.junit.jupiter.api.Assumptions;

/** Pools whose disk takes not one byte, or can be damaged, for tests of other rooms. */
public final class FullDisk {
  private FullDisk() {}

  /** A pool of which every cache fails when its first tokens are to go to disk. */
  public static KvPool pool(KvLayout layout, Account account, Path folder) {
    PagePool pages = new PagePool(account, account.budget().total(), account, folder);
    pages.spillFolder(disk(folder));
    return new KvPool(layout, pages);
  }

  /**
   * A pool on a disk as it should be.
   *
   * @param opened is given each file
   */
  public static KvPool watched(
      KvLayout layout, Account account, Path folder, Consumer<FileChannel> opened) {
    PagePool pages = new PagePool(account, account.budget().total(), account, folder);
    pages.spillFolder(
        new SpillFolder(
            folder,
            at -> {
              FileChannel file =
                  FileChannel.open(
                      Files.createTempFile(at, "watched", ".spill"),
                      StandardOpenOption.READ,
                      StandardOpenOption.WRITE,
                      StandardOpenOption.DELETE_ON_CLOSE);
              opened.accept(file);
              return file;
            }));
    return new KvPool(layout, pages);
  }

  static SpillFolder disk(Path folder) {
    Path full = Path.of("/dev/full");
    Assumptions.assumeTrue(Files.exists(full), "no device that is always full");
    return new SpillFolder(
        folder,
        ignored -> FileChannel.open(full, StandardOpenOption.READ, StandardOpenOption.WRITE));
  }
}
