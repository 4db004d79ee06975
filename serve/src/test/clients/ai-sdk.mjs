import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, embed, embedMany, generateText, jsonSchema, Output, streamText, tool } from 'ai';
import {
  answer, check, cosine, embedder, endless, equal, idle, key, model, question, report, server, singleKey, thrown, truthy,
} from './shared/checks.mjs';

const provider = (apiKey) =>
  createOpenAICompatible({ name: 'knapsack', baseURL: `${server}/v1`, apiKey });
const notes = provider(key)(model);
const asked = { model: notes, prompt: question, temperature: 0, maxRetries: 0 };

await check('generateText', async () => {
  const reply = await generateText(asked);
  equal(reply.text.trim(), answer, 'text');
  equal(reply.finishReason, 'stop', 'finishReason');
  truthy(reply.usage.outputTokens > 0, 'usage');
});
await check('generateText: a cut answer', async () => {
  equal((await generateText({ ...asked, maxOutputTokens: 1 })).finishReason, 'length', 'reason');
});
await check('streamText', async () => {
  const reply = streamText(asked);
  let text = '';
  for await (const piece of reply.textStream) text += piece;
  equal(text.trim(), answer, 'text');
  equal(await reply.finishReason, 'stop', 'finishReason');
});
await check('tools, calls and results in messages', async () => {
  const look = tool({
    description: 'Looks for a thing.',
    inputSchema: jsonSchema({ type: 'object', properties: { thing: { type: 'string' } } }),
    execute: async () => 'library',
  });
  const call = { toolCallId: 'call_1', toolName: 'look' };
  const reply = await generateText({
    ...asked,
    prompt: undefined,
    tools: { look },
    maxOutputTokens: 5,
    messages: [
      { role: 'user', content: question },
      { role: 'assistant', content: [{ type: 'tool-call', ...call, input: {} }] },
      {
        role: 'tool',
        content: [{ type: 'tool-result', ...call, output: { type: 'text', value: 'library' } }],
      },
    ],
  });
  truthy(['length', 'stop', 'tool-calls'].includes(reply.finishReason), 'finishReason');
});
await check('structured', async () => {
  const structured = createOpenAICompatible({
    name: 'knapsack', baseURL: `${server}/v1`, apiKey: key, supportsStructuredOutputs: true,
  })(model);
  const schema = jsonSchema({
    type: 'object',
    properties: { place: { type: 'string', maxLength: 20 } },
    required: ['place'],
    additionalProperties: false,
  });
  const reply = await generateText({
    ...asked, model: structured, output: Output.object({ schema }),
  });
  truthy(typeof reply.output.place === 'string', 'place');
});
await check('pictures are refused', async () => {
  const image = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const content = [
    { type: 'text', text: 'What?' },
    { type: 'file', data: image, mediaType: 'image/png' },
  ];
  const e = await thrown(() =>
    generateText({ ...asked, prompt: undefined, messages: [{ role: 'user', content }] }));
  truthy(APICallError.isInstance(e) && e.statusCode === 400, `a refusal: ${e}`);
  truthy(e.message.includes('text only'), `says why: ${e.message}`);
});
await check('embed and embedMany', async () => {
  const client = createOpenAICompatible({ name: 'knapsack', baseURL: `${server}/v1`, apiKey: key });
  const small = client.embeddingModel(embedder);
  const one = await embed({ model: small, value: 'a cat' });
  equal(one.usage.tokens, 6, 'tokens');
  const many = await embedMany({ model: small, values: ['a cat', 'the hill'] });
  equal(many.embeddings.map((e) => e.length), [32, 32], 'dimensions');
  equal(many.embeddings[0], one.embedding, 'vector');
  truthy(cosine(...many.embeddings) < 0.9999, 'they differ');
});
await check('errors', async () => {
  const e = await thrown(() => generateText({ ...asked, model: provider(key)('gpt-9') }));
  equal(e.statusCode, 404, 'status');
  const stopped = await thrown(() => generateText({ ...asked, model: provider('sk-x')(model) }));
  equal(stopped.statusCode, 401, 'status');
});
await check('an aborted stream ends the answer', async () => {
  const abort = new AbortController();
  const reply = streamText({
    ...asked, providerOptions: { knapsack: endless }, abortSignal: abort.signal, onError() {},
  });
  for await (const part of reply.fullStream) {
    if (part.type === 'text-delta') abort.abort();
  }
  await idle();
});
await check('retries after the time that it is told', async () => {
  const held = await fetch(`${server}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${singleKey}` },
    body: JSON.stringify({
      messages: [{ role: 'user', content: question }],
      stream: true,
      ...endless,
    }),
  });
  const statuses = [];
  const single = createOpenAICompatible({
    name: 'knapsack',
    baseURL: `${server}/v1`,
    apiKey: singleKey,
    fetch: async (...request) => {
      const reply = await fetch(...request);
      statuses.push(reply.status);
      if (reply.status === 429) await held.body.cancel().catch(() => {});
      return reply;
    },
  })(model);
  const reply = await generateText({ ...asked, model: single, maxRetries: 8 });
  equal(reply.text.trim(), answer, 'text');
  equal([statuses[0], statuses.at(-1)], [429, 200], 'statuses');
});
report('AI SDK 7');
