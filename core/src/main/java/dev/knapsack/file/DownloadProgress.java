package dev.knapsack.file;

/** Is told how far a download is. */
@FunctionalInterface
public interface DownloadProgress {
  /**
   * Called when a file starts (at the byte from which it resumes), now and then while it comes, and
   * when it is whole.
   *
   * @param file the file's name
   * @param bytes bytes that are here
   * @param total bytes of the whole file, or -1 as long as nobody knows
   */
  void at(String file, long bytes, long total);
}
