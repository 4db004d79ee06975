package dev.knapsack.eval;

import com.google.gson.JsonObject;
import dev.knapsack.Options;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.policy.Recipe;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A recipe of the KV cache at a budget: what is tried.
 *
 * <p>A recipe is written as {@code --kv} has it. A method's name alone, such as {@code snapkv}, is
 * given the budget as its tokens; in a recipe that is written out, {@code {budget}} stands for it.
 * What says its tokens itself, or keeps all of them, is tried once. After a {@code +} may follow
 * the form in which tokens are kept, as {@link CacheForm} reads it: {@code snapkv+q4_0+rotate}.
 *
 * <p>{@code epicache} reads a prompt once for each of {@value #EPISODES} {@linkplain
 * dev.knapsack.engine.Episodes episodes}, and {@code epicache@1} for one, of which all questions
 * are asked. So may others that look ahead: {@code dapq@4}.
 *
 * @param recipe as it was written, with its form
 * @param percent the budget: bytes as a share of the F16 cache's; empty where the recipe says by
 *     itself what it takes
 * @param policy which tokens are kept
 * @param form how
 * @param episodes that a prompt is read for at most; 0 where it is read as it is
 */
public record KvTrial(
    String recipe, OptionalInt percent, KvPolicy policy, CacheForm form, int episodes) {
  /** The full cache, which all others are compared with. */
  public static final KvTrial FULL =
      new KvTrial("full", OptionalInt.empty(), KvPolicy.FULL, CacheForm.FULL, 0);

  private static final String BUDGET = "{budget}";

  /** As in its paper. */
  private static final int EPISODES = 4;

  private static final Pattern IN_EPISODES = Pattern.compile("(.+)@([1-9]\\d{0,2})");

  /**
   * A recipe at each budget: tokens in coarser formats are more at the same bytes.
   *
   * @param percents budgets, as shares of the bytes of the F16 cache
   * @param full that cache
   * @throws IllegalArgumentException if there is no such recipe or form
   */
  static List<KvTrial> of(String text, List<Integer> percents, KvLayout full) {
    String plain = text.strip();
    int plus = plain.indexOf('+');
    String recipe = (plus < 0 ? plain : plain.substring(0, plus)).strip();
    CacheForm form = plus < 0 ? CacheForm.FULL : CacheForm.of(plain.substring(plus + 1));
    Matcher in = IN_EPISODES.matcher(recipe);
    int usual = recipe.equalsIgnoreCase("epicache") ? EPISODES : 0;
    int episodes = in.matches() ? Integer.parseInt(in.group(2)) : usual;
    recipe = in.matches() ? in.group(1) : recipe;
    String template = template(recipe);
    if (!template.contains(BUDGET)) {
      return List.of(new KvTrial(plain, OptionalInt.empty(), Recipe.of(recipe), form, episodes));
    }
    double tokens = (double) CacheForm.FULL.tokenBytes(full, false) / form.tokenBytes(full, true);
    return percents.stream()
        .map(percent -> {
          long share = Math.clamp((long) (percent * tokens), 1, 100);
          KvPolicy policy = Recipe.of(template.replace(BUDGET, share + "%"));
          return new KvTrial(plain, OptionalInt.of(percent), policy, form, episodes);
        })
        .toList();
  }

  /**
   * Recipes with semicolons between them, each at each budget.
   *
   * @throws IllegalArgumentException if one is none
   */
  static List<KvTrial> list(List<String> recipes, List<Integer> percents, KvLayout full) {
    return recipes.stream().flatMap(r -> of(r, percents, full).stream()).toList();
  }

  private static String template(String recipe) {
    boolean name = recipe.matches("[\\w-]+") && !recipe.equalsIgnoreCase(FULL.recipe);
    return name && takesBudget(recipe) ? recipe + "(" + BUDGET + ")" : recipe;
  }

  /** Says whether a method is told how many tokens it keeps, and not how it keeps all of them. */
  private static boolean takesBudget(String method) {
    try {
      Recipe.of(method + "(50%)");
      return true;
    } catch (IllegalArgumentException _) {
      return false;
    }
  }

  /** The recipes that a text names, with semicolons between them. */
  public static List<String> recipes(String text) {
    return Arrays.stream(text.split(";", -1)).map(String::strip).filter(r -> !r.isEmpty()).toList();
  }

  /** Options by which a model is opened so. */
  public Options apply(Options options) {
    return form.apply(options, policy);
  }

  /** The trial as the beginning of a JSON object. */
  JsonObject json() {
    JsonObject line = new JsonObject();
    line.addProperty("recipe", recipe);
    if (percent.isPresent()) {
      line.addProperty("budgetPercent", percent.getAsInt());
    }
    line.addProperty("policy", policy.name());
    if (episodes > 0) {
      line.addProperty("episodes", episodes);
    }
    line.addProperty("form", form.name());
    return line;
  }

  /** The recipe and its budget. */
  public String name() {
    return percent.isPresent() ? recipe + " at " + percent.getAsInt() + " %" : recipe;
  }
}
