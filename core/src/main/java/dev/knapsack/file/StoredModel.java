package dev.knapsack.file;

import java.nio.file.Path;
import java.time.Instant;

/**
 * A whole model in the local store.
 *
 * @param name what finds it again: {@code hf:owner/repo:file.gguf}, or {@code host/path/file.gguf}
 *     for one from elsewhere
 * @param path the GGUF file, or the directory of a safetensors model
 * @param bytes bytes on disk
 * @param fetched when it was fetched
 */
public record StoredModel(String name, Path path, long bytes, Instant fetched) {}
