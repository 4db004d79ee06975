// The official client of Anthropic's API, in whichever version.
import assert from 'node:assert/strict';
import {
  answer, callingServer, check, key as freeKey, limitedKey, model, question, rehearsedServer, report, server,
} from './checks.mjs';

const tools = [
  {
    name: 'find',
    description: 'Finds a thing.',
    input_schema: { type: 'object', properties: { thing: { type: 'string' } } },
  },
];

function ask(more = {}) {
  return {
    model,
    max_tokens: 50,
    temperature: 0,
    messages: [{ role: 'user', content: question }],
    ...more,
  };
}

/**
 * @param version for people
 * @param Anthropic the client's class
 * @param key the name of the option that has the key
 */
export async function run(version, Anthropic, key) {
  const open = (secret, more = {}) =>
    new Anthropic({ baseURL: server, [key]: secret, ...more });
  const client = open(freeKey);

  await check('chat', async () => {
    const message = await client.messages.create(ask({ system: 'Be brief.' }));
    assert.equal(message.type, 'message');
    assert.equal(message.content[0].type, 'text');
    assert.ok(message.content[0].text.trim());
    assert.equal(message.stop_reason, 'end_turn');
    assert.ok(message.usage.output_tokens > 0);
    assert.ok(message._request_id);
  });

  await check('stream', async () => {
    const pieces = [];
    const stream = client.messages.stream(ask()).on('text', (text) => pieces.push(text));
    const message = await stream.finalMessage();
    assert.ok(pieces.length > 2);
    assert.equal(pieces.join('').trim(), answer);
    assert.equal(message.content.length, 1);
    assert.equal(message.content[0].text, pieces.join(''));
    assert.equal(message.stop_reason, 'end_turn');
    assert.equal(message.usage.output_tokens > 0, true);
    assert.equal(message.usage.input_tokens + message.usage.cache_read_input_tokens > 0, true);
  });

  await check('raw events', async () => {
    const types = [];
    for await (const event of await client.messages.create(ask({ stream: true }))) {
      types.push(event.type);
    }
    assert.deepEqual(
      [...new Set(types)],
      [
        'message_start',
        'content_block_start',
        'content_block_delta',
        'content_block_stop',
        'message_delta',
        'message_stop',
      ],
    );
  });

  await check('stop sequence', async () => {
    const message = await client.messages.stream(ask({ stop_sequences: [' library'] })).finalMessage();
    assert.equal(message.stop_reason, 'stop_sequence');
    assert.equal(message.stop_sequence, ' library');
  });

  await check('max_tokens', async () => {
    const message = await client.messages.create(ask({ max_tokens: 2 }));
    assert.equal(message.stop_reason, 'max_tokens');
    assert.equal(message.usage.output_tokens, 2);
  });

  await check('thoughts, calls and their results', async () => {
    const rehearsed = open(freeKey, { baseURL: rehearsedServer });
    const called = await rehearsed.messages.stream(ask({ tools })).finalMessage();
    const blocks = [
      { type: 'thinking', thinking: 'Hm. So.', signature: 'knapsack' },
      { type: 'text', text: 'Let me look.' },
      { type: 'tool_use', id: 'call_0', name: 'f', input: { x: 1 } },
      { type: 'tool_use', id: 'call_1', name: 'g', input: {} },
    ];
    assert.deepEqual(called.content.map((block) => ({ ...block })), blocks);
    assert.equal(called.stop_reason, 'tool_use');
    assert.equal(called.usage.input_tokens, 6);
    assert.equal(called.usage.cache_read_input_tokens, 4);
    assert.equal(called.usage.output_tokens, 7);
    assert.deepEqual((await rehearsed.messages.create(ask({ tools }))).content, blocks);
    const one = { type: 'auto', disable_parallel_tool_use: true };
    const single = await rehearsed.messages.stream(ask({ tools, tool_choice: one })).finalMessage();
    assert.equal(single.content.length, 3);

    const message = await client.messages.create(
      ask({
        tools,
        tool_choice: { type: 'auto' },
        max_tokens: 1100,
        thinking: { type: 'enabled', budget_tokens: 1024 },
        messages: [
          { role: 'user', content: [{ type: 'text', text: 'Find the ring.' }] },
          { role: 'assistant', content: called.content },
          {
            role: 'user',
            content: [
              {
                type: 'tool_result',
                tool_use_id: 'call_0',
                content: [{ type: 'text', text: 'In the library.' }],
              },
              { type: 'tool_result', tool_use_id: 'call_1', is_error: true, content: 'No.' },
              { type: 'text', text: 'Where is it?' },
            ],
          },
        ],
      }),
    );
    assert.equal(message.role, 'assistant');
    assert.ok(message.usage.output_tokens > 0);
  });

  await check('calls in pieces', async () => {
    const caller = open(freeKey, { baseURL: callingServer });
    const one = { type: 'tool', name: 'find', disable_parallel_tool_use: true };
    const schema = {
      type: 'object',
      properties: { place: { type: 'string', maxLength: 20 } },
      required: ['place'],
      additionalProperties: false,
    };
    const must = ask({ max_tokens: 200, tool_choice: one, tools: [{ name: 'find', input_schema: schema }] });
    const stream = caller.messages.stream(must);
    let pieces = 0;
    stream.on('inputJson', () => pieces++);
    const message = await stream.finalMessage();
    assert.ok(pieces > 3, `pieces: ${pieces}`);
    assert.equal(message.stop_reason, 'tool_use');
    assert.equal(message.content[0].name, 'find');
    assert.equal(typeof message.content[0].input.place, 'string');
  });

  await check('error in a stream', async () => {
    const rehearsed = open(freeKey, { baseURL: rehearsedServer });
    await assert.rejects(
      rehearsed.messages.stream(ask({ system: 'break' })).finalMessage(),
      (error) => {
        assert.ok(error instanceof Anthropic.APIError);
        assert.match(error.message, /No token can be chosen/);
        return true;
      },
    );
  });

  await check('count tokens', async () => {
    const { messages, temperature, max_tokens, ...rest } = ask();
    const counted = await client.messages.countTokens({ ...rest, messages, tools });
    assert.ok(counted.input_tokens > 0);
  });

  await check('structured', async () => {
    const schema = {
      type: 'object',
      properties: { place: { enum: ['library', 'kitchen'] } },
      required: ['place'],
      additionalProperties: false,
    };
    const message = await client.messages.create(
      ask({ max_tokens: 100, output_config: { format: { type: 'json_schema', schema } } }),
    );
    assert.ok(schema.properties.place.enum.includes(JSON.parse(message.content[0].text).place));
  });

  await check('errors', async () => {
    await assert.rejects(client.messages.create(ask({ model: 'none' })), (error) => {
      assert.ok(error instanceof Anthropic.NotFoundError);
      assert.equal(error.error.error.type, 'not_found_error');
      return true;
    });
    await assert.rejects(
      client.messages.create(ask({ tools, tool_choice: { type: 'any' } })),
      (error) => {
        assert.ok(error instanceof Anthropic.BadRequestError);
        assert.match(error.message, /tool_choice/);
        return true;
      },
    );
    await assert.rejects(
      client.messages.create(
        ask({
          output_config: { format: { type: 'json_schema', schema: { type: 'array', uniqueItems: true } } },
        }),
      ),
      Anthropic.BadRequestError,
    );
    await assert.rejects(open('wrong').messages.create(ask()), Anthropic.AuthenticationError);
  });

  await check('abort', async () => {
    const stream = client.messages.stream(ask());
    stream.on('streamEvent', (event) => {
      if (event.type === 'content_block_delta') {
        stream.abort();
      }
    });
    await assert.rejects(stream.finalMessage(), Anthropic.APIUserAbortError);
    const controller = new AbortController();
    controller.abort();
    await assert.rejects(
      client.messages.create(ask(), { signal: controller.signal }),
      Anthropic.APIUserAbortError,
    );
    const next = await client.messages.create(ask({ max_tokens: 2 }));
    assert.equal(next.stop_reason, 'max_tokens');
  });

  await check('retries', async () => {
    let refused = 0;
    const limited = open(limitedKey, {
      fetch: async (...request) => {
        const response = await fetch(...request);
        if (response.status === 429) {
          refused++;
          assert.ok(Number(response.headers.get('retry-after-ms')) > 0);
        }
        return response;
      },
    });
    const { messages } = ask();
    for (let i = 0; i < 200 && refused === 0; i++) {
      await limited.messages.countTokens({ model, messages });
    }
    assert.ok(refused > 0); // and yet each of them has been answered
  });

  report(`@anthropic-ai/sdk ${version}`);
}
