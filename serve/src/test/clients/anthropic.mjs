import Anthropic from '@anthropic-ai/sdk';
import { run } from './anthropic.js';

await run('1.x', Anthropic, 'apiKey');
