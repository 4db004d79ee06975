package dev.knapsack.engine;

import java.util.Optional;

/**
 * The counts of what an engine has kept of the beginnings of prompts.
 *
 * @param blocks blocks in memory
 * @param bytes bytes of memory that they take
 * @param diskBytes bytes of all files of the folder, this model's and others'; 0 without one
 * @param written blocks that were written to it since the engine was opened
 * @param read blocks that were read from it
 * @param tokensFound tokens of the prompts of answers that have ended that were not computed, since
 *     they were in the session, in memory or on disk
 * @param stopped a sentence on why nothing is written any more; empty while it is
 */
public record PrefixCounts(
    int blocks,
    long bytes,
    long diskBytes,
    long written,
    long read,
    long tokensFound,
    Optional<String> stopped) {}
