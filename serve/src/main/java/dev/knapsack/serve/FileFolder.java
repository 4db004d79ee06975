package dev.knapsack.serve;

import java.nio.file.Path;

/**
 * A folder for files that clients upload and for the results of batches.
 *
 * @param folder is made if it is not there
 * @param bytes most bytes of all files together
 */
public record FileFolder(Path folder, long bytes) {}
