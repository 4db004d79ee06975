package dev.knapsack.text;

import dev.knapsack.file.TokenizerJson;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Byte pair encoding as {@code tokenizer.json} describes it: in each piece the pair of tokens with
 * the lowest rank merges until none does (Sennrich et al., "Neural Machine Translation of Rare
 * Words with Subword Units", 2016).
 */
final class BytePairs implements PieceModel {
  private final ModelTokens tokens;
  private final ModelTokens steering;
  private final Merges merges;

  /** The bytes before a character that does not begin a piece, as the vocabulary has it. */
  private final byte[] prefix;

  /** The bytes after the last character of a piece, as the vocabulary has it. */
  private final byte[] suffix;

  private final boolean hasUnknown;
  private final Unknown unknown;
  private final boolean fusesUnknown;

  /** A piece that is a token is that token, whatever the merges would make of it. */
  private final boolean ignoresMerges;

  /** The tokens of bytes that no token has; empty if there are none. */
  private final int[] byteTokens;

  private BytePairs(
      Component component, ModelTokens tokens, ModelTokens steering, TokenizerJson json) {
    this.tokens = tokens;
    this.steering = steering;
    prefix = component.text("continuing_subword_prefix", "").getBytes(StandardCharsets.UTF_8);
    suffix = component.text("end_of_word_suffix", "").getBytes(StandardCharsets.UTF_8);
    hasUnknown = component.has("unk_token");
    unknown = new Unknown(hasUnknown ? tokens.named(component.text("unk_token")) : -1, component);
    fusesUnknown = component.flag("fuse_unk", false);
    ignoresMerges = component.flag("ignore_merges", false);
    byteTokens = component.flag("byte_fallback", false) ? tokens.bytes() : new int[0];
    merges = Merges.of(json.left(), json.right(), json.joined(prefix.length));
  }

  static BytePairs read(
      Component component, ModelTokens tokens, ModelTokens steering, TokenizerJson json) {
    if (!json.hasMerges()) {
      throw component.wrong("merges", "is missing, and byte pair encoding cannot work without");
    }
    if (component.has("dropout") && component.json().get("dropout").getAsDouble() != 0) {
      throw component.wrong(
          "dropout",
          "must be null, as a text has one way to be read, and is "
              + component.json().get("dropout"));
    }
    return new BytePairs(component, tokens, steering, json);
  }

  @Override
  public Encoder encoder(boolean steers) {
    return new Words(steers ? steering : tokens);
  }

  @Override
  public boolean keepsAll(boolean ofBytes) {
    boolean falls = byteTokens.length > 0 && Arrays.stream(byteTokens).allMatch(id -> id >= 0);
    return falls || (hasUnknown && !fusesUnknown) || (ofBytes && spellsBytes());
  }

  /** Says whether it has the characters that stand for bytes, as a byte-level vocabulary has. */
  private boolean spellsBytes() {
    for (int b = 0; b < 256; b++) {
      byte[] text = String.valueOf(ByteAlphabet.character(b)).getBytes(StandardCharsets.UTF_8);
      if (tokens.find(text, 0, text.length) < 0) {
        return false;
      }
    }
    return true;
  }

  private final class Words implements Encoder, PairMerging.Symbols {
    private final ModelTokens known;
    private final PairMerging merging = new PairMerging();
    private final ByteList bytes = new ByteList(64);
    private int[] symbols = new int[64];
    private int count;

    Words(ModelTokens known) {
      this.known = known;
    }

    @Override
    public void encode(String piece, IntList into) {
      if (ignoresMerges) {
        bytes.clear();
        bytes.add(piece, 0, piece.length());
        int whole = known.find(bytes.array(), 0, bytes.size());
        if (whole >= 0) {
          into.add(whole);
          return;
        }
      }
      spell(piece);
      if (count == 0) {
        return;
      }
      merging.run(count, this);
      for (int at = 0; at >= 0; at = merging.after(at)) {
        into.add(symbols[at]);
      }
    }

    private void spell(String piece) {
      count = 0;
      boolean pending = false;
      for (int at = 0; at < piece.length(); ) {
        int character = piece.codePointAt(at);
        int next = at + Character.charCount(character);
        bytes.clear();
        if (at > 0) {
          bytes.add(prefix);
        }
        bytes.addCodePoint(character);
        if (next == piece.length()) {
          bytes.add(suffix);
        }
        at = next;
        int token = known.find(bytes.array(), 0, bytes.size());
        if (token >= 0) {
          if (pending) {
            add(unknown.token(piece));
            pending = false;
          }
          add(token);
        } else if (!fallsBack() && hasUnknown) {
          // What is unknown is written once more is known: after bytes that come before that.
          if (pending && !fusesUnknown) {
            add(unknown.token(piece));
          }
          pending = true;
        }
      }
      if (pending) {
        add(unknown.token(piece));
      }
    }

    /** Adds the tokens of the bytes, if there is one for each. */
    private boolean fallsBack() {
      if (byteTokens.length == 0) {
        return false;
      }
      for (int i = 0; i < bytes.size(); i++) {
        if (byteTokens[bytes.array()[i] & 0xFF] < 0) {
          return false;
        }
      }
      for (int i = 0; i < bytes.size(); i++) {
        add(byteTokens[bytes.array()[i] & 0xFF]);
      }
      return true;
    }

    private void add(int token) {
      if (count == symbols.length) {
        symbols = Arrays.copyOf(symbols, count * 2);
      }
      symbols[count++] = token;
    }

    @Override
    public int priority(int left, int right) {
      int rank = merges.rank(symbols[left], symbols[right]);
      return rank != PairMerging.NEVER && known.isHidden(merges.result(rank))
          ? PairMerging.NEVER
          : rank;
    }

    @Override
    public void merge(int left, int right) {
      symbols[left] = merges.result(merges.rank(symbols[left], symbols[right]));
    }
  }
}
