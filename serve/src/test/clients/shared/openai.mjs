// The checks of OpenAI's own client, for any of its major versions.
import {
  answer, callingServer, check, cosine, embedder, endless, equal, idle, key, model, question, report, server, singleKey, slots,
  thrown, truthy,
} from './checks.mjs';

const messages = [{ role: 'user', content: question }];
const asked = { model, messages, temperature: 0 };
const schema = {
  type: 'object',
  properties: { place: { type: 'string', maxLength: 20 } },
  required: ['place'],
  additionalProperties: false,
};
const tool = {
  type: 'function',
  function: {
    name: 'look',
    description: 'Looks for a thing.',
    parameters: { type: 'object', properties: { thing: { type: 'string' } } },
    function: () => 'library',
    parse: JSON.parse,
  },
};
const png = 'data:image/png;base64,iVBORw0KGgo=';

export async function run(name, { default: OpenAI, toFile }) {
  const client = new OpenAI({ baseURL: `${server}/v1`, apiKey: key });

  await check('models', async () => {
    const ids = [];
    for await (const one of client.models.list()) ids.push(one.id);
    equal(ids, [model, embedder, 'judge'], 'ids');
    equal((await client.models.retrieve(model)).id, model, 'id');
  });
  await check('embeddings', async () => {
    const asked = { model: embedder, input: ['a cat', 'the hill'] };
    // Without a format the client asks for base64, and gives what it has read of it as numbers.
    const usual = await client.embeddings.create(asked);
    const floats = await client.embeddings.create({ ...asked, encoding_format: 'float' });
    equal(usual.data.map((d) => d.index), [0, 1], 'index');
    for (const [i, { embedding }] of floats.data.entries()) {
      equal(embedding.length, 32, 'dimensions');
      equal(Array.from(usual.data[i].embedding), embedding.map(Math.fround), 'vectors');
    }
    truthy(cosine(floats.data[0].embedding, floats.data[1].embedding) < 0.9999, 'they differ');
    equal(usual.usage.prompt_tokens, usual.usage.total_tokens, 'usage');
    const short = await client.embeddings.create({ ...asked, input: [[7, 8], [9]], dimensions: 8 });
    equal(short.data.map((d) => d.embedding.length), [8, 8], 'dimensions');
  });
  await check('embeddings: refusals', async () => {
    const long = await thrown(() =>
      client.embeddings.create({ model: embedder, input: 'a'.repeat(100) }));
    equal([long.status, long.code], [400, 'context_length_exceeded'], 'too long');
    const chat = await thrown(() => client.embeddings.create({ model, input: 'a' }));
    equal([chat.status, chat.param], [400, 'model'], 'a chat model');
    truthy(chat.message.includes(embedder), 'says which would do');
  });
  await check('chat', async () => {
    const reply = await client.chat.completions.create(asked);
    equal(reply.choices[0].message.content.trim(), answer, 'content');
    equal(reply.choices[0].finish_reason, 'stop', 'finish_reason');
    equal(
      reply.usage.total_tokens,
      reply.usage.prompt_tokens + reply.usage.completion_tokens,
      'total_tokens',
    );
  });
  await check('chat: stream', async () => {
    let text = '';
    const chunks = [];
    const stream = await client.chat.completions.create({
      ...asked, stream: true, stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      chunks.push(chunk);
      text += chunk.choices[0]?.delta.content ?? '';
    }
    equal(text.trim(), answer, 'text');
    equal(chunks[0].choices[0].delta.role, 'assistant', 'role');
    equal(new Set(chunks.map((c) => c.id)).size, 1, 'ids');
    truthy(chunks.at(-1).usage.completion_tokens > 0, 'usage');
  });
  await check('chat: stream helper', async () => {
    const stream = client.chat.completions.stream(asked);
    const reply = await stream.finalChatCompletion();
    equal(reply.choices[0].message.content.trim(), answer, 'content');
    equal((await stream.totalUsage()).prompt_tokens > 0, true, 'usage');
  });
  await check('chat: runTools', async () => {
    const runner = client.chat.completions.runTools({ ...asked, tools: [tool], max_tokens: 40 });
    truthy((await runner.finalMessage()).role === 'assistant', 'role');
  });
  await check('calls in pieces', async () => {
    const caller = new OpenAI({ baseURL: `${callingServer}/v1`, apiKey: key });
    const must = { ...asked, temperature: 1, seed: 7, tool_choice: 'required' };
    const find = { name: 'find', parameters: schema };
    const tools = [{ type: 'function', function: find }];
    const stream = caller.chat.completions.stream({ ...must, tools, parallel_tool_calls: false });
    let pieces = 0;
    stream.on('chunk', (chunk) => {
      pieces += chunk.choices[0]?.delta.tool_calls?.length ?? 0;
    });
    const reply = (await stream.finalChatCompletion()).choices[0];
    equal(reply.finish_reason, 'tool_calls', 'finish_reason');
    equal(reply.message.tool_calls.map((c) => c.function.name), ['find'], 'names');
    truthy(reply.message.tool_calls[0].id, 'id');
    equal(Object.keys(JSON.parse(reply.message.tool_calls[0].function.arguments)), ['place'], 'keys');
    truthy(pieces > 3, `pieces: ${pieces}`);
    const cut = await caller.chat.completions.create({
      ...must, tools, parallel_tool_calls: false, max_tokens: pieces + 8,
    });
    truthy(['length', 'tool_calls'].includes(cut.choices[0].finish_reason), 'cut');

    let text = '';
    const response = caller.responses.stream({
      model, input: question, seed: 7, tool_choice: 'required', parallel_tool_calls: false,
      tools: [{ type: 'function', ...find, strict: true }],
    });
    response.on('response.function_call_arguments.delta', (event) => (text += event.delta));
    const item = (await response.finalResponse()).output[0];
    equal([item.type, item.name, item.arguments], ['function_call', 'find', text], 'item');
    equal(Object.keys(JSON.parse(text)), ['place'], 'keys');
  });
  await check('chat: calls and results in messages', async () => {
    const call = { id: 'call_1', type: 'function', function: { name: 'look', arguments: '{}' } };
    for (const content of [null, '', undefined]) {
      const reply = await client.chat.completions.create({
        ...asked,
        tools: [{ type: 'function', function: { name: 'look', parameters: {} } }],
        max_tokens: 5,
        messages: [
          ...messages,
          { role: 'assistant', content, tool_calls: [call] },
          { role: 'tool', tool_call_id: 'call_1', content: 'library' },
        ],
      });
      truthy(reply.choices[0].finish_reason, 'finish_reason');
    }
  });
  await check('chat: structured', async () => {
    const format = { type: 'json_schema', json_schema: { name: 'place', schema, strict: true } };
    const reply = await client.chat.completions.create({ ...asked, response_format: format });
    truthy(typeof JSON.parse(reply.choices[0].message.content).place === 'string', 'place');
    const unknown = { ...format, json_schema: { name: 'x', schema: { type: 'array', uniqueItems: true } } };
    const e = await thrown(() => client.chat.completions.create({ ...asked, response_format: unknown }));
    truthy(e instanceof OpenAI.BadRequestError, `a refusal: ${e}`);
    truthy(e.message.includes('uniqueItems'), `it names the keyword: ${e.message}`);
  });
  await check('chat: a cut answer under parse', async () => {
    const e = await thrown(() => client.chat.completions.parse({ ...asked, max_tokens: 1 }));
    equal(e.constructor.name, 'LengthFinishReasonError', 'error');
  });
  await check('chat: pictures are refused', async () => {
    const content = [{ type: 'text', text: 'What?' }, { type: 'image_url', image_url: { url: png } }];
    const e = await thrown(() =>
      client.chat.completions.create({ ...asked, messages: [{ role: 'user', content }] }));
    truthy(e instanceof OpenAI.BadRequestError, `a refusal: ${e}`);
    equal(e.param, 'messages[0].content[1].type', 'param');
  });
  await check('chat: n and log-probabilities', async () => {
    const reply = await client.chat.completions.create({
      ...asked, n: 2, logprobs: true, top_logprobs: 3, max_tokens: 3,
    });
    equal(reply.choices.map((c) => c.index), [0, 1], 'indices');
    equal(reply.choices[1].logprobs.content.length, 3, 'logprobs');
    equal(reply.choices[0].logprobs.content[0].top_logprobs.length, 3, 'top_logprobs');
    equal(reply.choices[0].finish_reason, 'length', 'finish_reason');
  });
  await check('completions', async () => {
    const reply = await client.completions.create({ model, prompt: 'Dan', max_tokens: 4 });
    equal(reply.usage.completion_tokens, 4, 'completion_tokens');
    let pieces = 0;
    const stream = await client.completions.create({
      model, prompt: 'Dan', max_tokens: 4, stream: true,
    });
    for await (const _ of stream) pieces++;
    truthy(pieces > 0, 'pieces');
  });
  await check('errors', async () => {
    const unknown = await thrown(() => client.chat.completions.create({ ...asked, model: 'gpt-9' }));
    truthy(unknown instanceof OpenAI.NotFoundError, `not found: ${unknown}`);
    equal(unknown.code, 'model_not_found', 'code');
    const stranger = new OpenAI({ baseURL: `${server}/v1`, apiKey: 'sk-none' });
    const stopped = await thrown(() => stranger.chat.completions.create(asked));
    truthy(stopped instanceof OpenAI.AuthenticationError, `no key: ${stopped}`);
    const long = [{ role: 'user', content: 'a b '.repeat(9000) }];
    const e = await thrown(() =>
      client.chat.completions.create({ ...asked, messages: long, stream: true }));
    equal(e.code, 'context_length_exceeded', 'code');
  });
  await check('an aborted stream ends the answer', async () => {
    const stream = await client.chat.completions.create({ ...asked, ...endless, stream: true });
    for await (const _ of stream) break;
    await idle();
  });
  await check('an aborted request ends the answer', async () => {
    const abort = new AbortController();
    const reply = client.chat.completions.create({ ...asked, ...endless }, { signal: abort.signal });
    while ((await slots()).length === 0);
    abort.abort();
    truthy((await thrown(() => reply)) instanceof OpenAI.APIUserAbortError, 'abort');
    await idle();
  });
  await check('retries after the time that it is told', async () => {
    const statuses = [];
    let stop = () => {};
    const single = new OpenAI({
      baseURL: `${server}/v1`,
      apiKey: singleKey,
      maxRetries: 8,
      fetch: async (...request) => {
        const reply = await fetch(...request);
        statuses.push(reply.status);
        if (reply.status === 429) {
          truthy(Number(reply.headers.get('retry-after')) <= 60, 'retry-after');
          truthy(Number(reply.headers.get('retry-after-ms')) > 0, 'retry-after-ms');
          stop();
        }
        return reply;
      },
    });
    const stream = await single.chat.completions.create({ ...asked, ...endless, stream: true });
    stop = () => stream.controller.abort();
    const reply = await single.chat.completions.create(asked);
    equal(reply.choices[0].message.content.trim(), answer, 'content');
    equal([statuses[0], statuses[1], statuses.at(-1)], [200, 429, 200], 'statuses');
  });
  await responses(client, OpenAI);
  await check('files and batches', async () => {
    const line = { custom_id: 'a', method: 'POST', url: '/v1/chat/completions', body: asked };
    const file = await client.files.create({
      file: await toFile(Buffer.from(JSON.stringify(line)), 'in.jsonl'), purpose: 'batch',
    });
    let batch = await client.batches.create({
      input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h',
    });
    while (!['completed', 'failed'].includes(batch.status)) {
      batch = await client.batches.retrieve(batch.id);
    }
    const results = await (await client.files.content(batch.output_file_id)).text();
    equal(
      JSON.parse(results).response.body.choices[0].message.content.trim(), answer, 'content');
    const ids = [];
    for await (const one of client.files.list({ limit: 1 })) ids.push(one.id);
    truthy(ids.includes(file.id) && ids.includes(batch.output_file_id), 'list');
    for (const id of ids) await client.files.delete(id);
  });
  report(name);
}

async function responses(client, OpenAI) {
  const input = { model, input: question, temperature: 0 };
  await check('responses', async () => {
    const reply = await client.responses.create(input);
    equal(reply.output_text.trim(), answer, 'output_text');
    equal(reply.status, 'completed', 'status');
    equal((await client.responses.retrieve(reply.id)).id, reply.id, 'retrieved');
    const next = await client.responses.create({
      model, input: 'Where?', previous_response_id: reply.id, max_output_tokens: 5,
    });
    equal(next.previous_response_id, reply.id, 'previous_response_id');
    const items = [];
    for await (const item of client.responses.inputItems.list(next.id)) items.push(item);
    equal(items.length, 3, 'items');
    await client.responses.delete(reply.id);
    const e = await thrown(() => client.responses.retrieve(reply.id));
    truthy(e instanceof OpenAI.NotFoundError, `not found: ${e}`);
  });
  await check('responses: background', async () => {
    const begun = await client.responses.create({ ...input, background: true });
    let reply = begun;
    while (['queued', 'in_progress'].includes(reply.status)) {
      reply = await client.responses.retrieve(begun.id);
    }
    equal(reply.output_text.trim(), answer, 'output_text');
    const long = await client.responses.create({ ...input, ...endless, background: true });
    equal((await client.responses.cancel(long.id)).status, 'cancelled', 'status');
  });
  await check('responses: stream', async () => {
    let text = '';
    const types = [];
    for await (const event of await client.responses.create({ ...input, stream: true })) {
      types.push(event.type);
      if (event.type === 'response.output_text.delta') text += event.delta;
    }
    equal(text.trim(), answer, 'text');
    equal([types[0], types.at(-1)], ['response.created', 'response.completed'], 'types');
  });
  await check('responses: stream helper', async () => {
    const reply = await client.responses.stream(input).finalResponse();
    equal(reply.output[0].content[0].text.trim(), answer, 'text');
    const cut = await client.responses.stream({ ...input, max_output_tokens: 2 }).finalResponse();
    equal(cut.incomplete_details.reason, 'max_output_tokens', 'reason');
  });
  await check('responses: items and refusals', async () => {
    const reply = await client.responses.create({
      ...input,
      max_output_tokens: 3,
      tools: [{ type: 'function', name: 'look', parameters: schema, strict: true }],
      input: [
        { role: 'user', content: [{ type: 'input_text', text: question }] },
        { type: 'function_call', call_id: 'c', name: 'look', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c', output: 'library' },
      ],
    });
    truthy(reply.usage.output_tokens <= 3, 'usage');
    const picture = [{ role: 'user', content: [{ type: 'input_image', image_url: png }] }];
    for (const more of [{ input: picture }, { tools: [{ type: 'web_search' }] }]) {
      const e = await thrown(() => client.responses.create({ ...input, ...more }));
      truthy(e instanceof OpenAI.BadRequestError && e.param.endsWith('type'), `refusal: ${e}`);
    }
  });
  await check('responses: an aborted stream ends the answer', async () => {
    const stream = await client.responses.create({ ...input, ...endless, stream: true });
    for await (const event of stream) {
      if (event.type === 'response.output_text.delta') break;
    }
    await idle();
  });
}
