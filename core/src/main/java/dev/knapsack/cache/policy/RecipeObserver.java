package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import dev.knapsack.cache.KvCache;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.LayerStep;
import dev.knapsack.cache.RetentionGates;
import dev.knapsack.cache.StepObserver;
import dev.knapsack.tensor.Matrix;
import java.util.List;
import java.util.Optional;

/** The observer of a recipe: its parts say what they look at, and the trigger when. */
record RecipeObserver(Recipe recipe) implements StepObserver {
  private Scorer scorer() {
    return recipe.scorer();
  }

  @Override
  public int lookahead() {
    return scorer().lookahead();
  }

  /** At the prompt's end, and whenever something is about to be forgotten while it is read. */
  @Override
  public int lookahead(KvCache cache, int tokens) {
    int rows = lookahead();
    int left = cache.text().promptEnd() - cache.length() - tokens;
    return rows > 0 && (left == 0 || (left > 0 && dueAfter(cache, tokens, left))) ? rows : 0;
  }

  /** Says whether a step that adds so many tokens, and leaves some of the prompt, makes it time. */
  private boolean dueAfter(KvCache cache, int tokens, int left) {
    Trigger trigger = recipe.trigger();
    if (!trigger.due(Integer.MAX_VALUE, left)) {
      return false;
    }
    List<LayerLayout.Heads> layers = cache.layout().heads();
    int[] keep = recipe.allocator().tokens(cache);
    for (int l = 0; l < keep.length; l++) {
      boolean forgets = layers.get(l).seeAll();
      if (forgets && trigger.due(recipe.surplus(cache, l, keep[l]) + tokens, left)) {
        return true;
      }
    }
    return false;
  }

  /** Says whether the next time that is due counts rows of this step. */
  private boolean counts(KvCache cache, int rows, int looked) {
    int ahead = cache.text().promptEnd() - cache.length();
    // Some of the rows may stand after the prompt.
    ahead = ahead > 0 ? Math.max(0, ahead - rows) : -rows;
    return recipe.trigger().countsRows(ahead, looked);
  }

  @Override
  public int weightRows(int layer) {
    int moments = recipe.moments().map(Moments::rows).orElse(0);
    return Math.max(scorer().weightRows(layer), moments);
  }

  @Override
  public boolean wantsWeights(CachedHead head, int rows) {
    KvCache cache = head.cache();
    int looked = weightRows(head.layer());
    // Rows of the text itself say nothing to a scorer that looks ahead.
    boolean any =
        lookahead() == 0
            || recipe.moments().isPresent()
            || cache.length() + rows > cache.text().stepEnd();
    return looked > 0
        && any
        && counts(cache, rows, looked)
        && (scorer().countsAnswer() || cache.length() < cache.text().promptEnd());
  }

  @Override
  public void observe(CachedHead head, int position, Matrix weights) {
    scorer().observe(head, position, weights);
    recipe.moments().ifPresent(moments -> moments.observe(head, position, weights));
    recipe.allocator().observe(head, position, weights);
  }

  @Override
  public boolean looks(int layer) {
    return scorer().looks(layer) || recipe.action().looks(layer);
  }

  @Override
  public boolean looks(KvCache cache, int layer, int rows) {
    return looks(layer) && counts(cache, rows, Integer.MAX_VALUE);
  }

  @Override
  public boolean wantsOutputNorms(int layer) {
    return scorer().wantsOutputNorms(layer);
  }

  @Override
  public Optional<RetentionGates> gates() {
    return scorer().gates();
  }

  @Override
  public void observe(CachedHead head, LayerStep step) {
    scorer().observe(head, step);
    recipe.action().observe(head, step);
  }

  @Override
  public int memory(LayerLayout.Heads heads) {
    return scorer().memory(heads) + recipe.action().memory(heads);
  }

  /** The scorer's first, then the allocator's, and {@link Moments} last. */
  @Override
  public int numbers(LayerLayout.Heads heads) {
    int moments = recipe.moments().map(_ -> Moments.numbers(heads.group())).orElse(0);
    return scorer().numbers(heads) + recipe.allocator().numbers(heads) + moments;
  }
}
