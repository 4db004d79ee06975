package dev.knapsack.text;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.function.IntPredicate;

/** Decodes the bytes that tokens stand for; those of an unfinished character wait for the rest. */
final class BytesDecoder implements StreamDecoder {
  private final VocabularyTokenizer tokenizer;
  private final IntPredicate shown;
  private final CharsetDecoder decoder =
      StandardCharsets.UTF_8
          .newDecoder()
          .onMalformedInput(CodingErrorAction.REPLACE)
          .onUnmappableCharacter(CodingErrorAction.REPLACE);
  private int previous;

  /** Bytes of an unfinished character: three at most. */
  private byte[] pending = new byte[0];

  BytesDecoder(VocabularyTokenizer tokenizer, int previous, IntPredicate shown) {
    this.tokenizer = tokenizer;
    this.previous = previous;
    this.shown = shown;
  }

  @Override
  public String next(int token) {
    byte[] bytes = tokenizer.bytes(token, shown.test(token));
    int skip = bytes.length > 0 && bytes[0] == ' ' && hidesSpace() ? 1 : 0;
    previous = token;
    ByteBuffer in = ByteBuffer.allocate(pending.length + bytes.length - skip);
    in.put(pending).put(bytes, skip, bytes.length - skip).flip();
    return decode(in, false);
  }

  @Override
  public boolean hidesSpace() {
    return tokenizer.hidesSpaceAfter(previous);
  }

  @Override
  public String finish() {
    return decode(ByteBuffer.wrap(pending), true);
  }

  private String decode(ByteBuffer in, boolean last) {
    CharBuffer out = CharBuffer.allocate(in.remaining());
    decoder.reset();
    decoder.decode(in, out, last);
    pending = new byte[in.remaining()];
    in.get(pending);
    return out.flip().toString();
  }
}
