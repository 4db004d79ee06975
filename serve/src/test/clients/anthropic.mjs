import Anthropic from '@anthropic-ai/sdk';
import { run } from './shared/anthropic.mjs';

await run('1.x', Anthropic, 'apiKey');
