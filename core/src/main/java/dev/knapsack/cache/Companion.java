package dev.knapsack.cache;

/**
 * A kind of file that lies beside a model and holds what a {@link KvPolicy} has to know of it.
 *
 * @param suffix what follows the model's file name, as in {@code model.gguf.kv.json}
 * @param made what makes such a file, for people: {@code 'knapsack calibrate MODEL' writes it}
 * @param content what it holds
 */
public record Companion<T>(String suffix, String made, Class<T> content) {
  /** The files beside one model. */
  public interface Reader {
    /**
     * Reads the content of the file of this kind.
     *
     * @throws RuntimeException of the reader's own type if there is none, it is of another model or
     *     damaged: says what makes one
     */
    <T> T read(Companion<T> kind);
  }
}
