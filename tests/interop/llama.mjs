// node llama.mjs PACKAGES REQUEST RESULT: what llama.cpp says about GGUF files.
//
// REQUEST is a list of {file, texts, prompts, count, paths}: RESULT has for each {ids, continuations,
// probabilities}: the ids of every text, `count` tokens greedily after every prompt (a list of ids), and the
// probabilities of the next token after every token of every path, by id.
import fs from "node:fs";
import {createRequire} from "node:module";
import path from "node:path";
import {pathToFileURL} from "node:url";

const [folder, request, result] = process.argv.slice(2);
const entry = createRequire(path.join(folder, "package.json")).resolve("node-llama-cpp");
const {getLlama} = await import(pathToFileURL(entry));
const llama = await getLlama({gpu: false, build: "never", skipDownload: true, logLevel: "error", progressLogs: false});

async function withSequence(model, use) {
    // Keys and values in float, as ours are: its default is half precision.
    const context = await model.createContext({contextSize: 64, sequences: 1, threads: 1, flashAttention: false,
        experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32"});
    const answer = await use(context.getSequence());
    await context.dispose();
    return answer;
}

async function continuation(sequence, prompt, count) {
    const written = [];
    for await (const token of sequence.evaluate(prompt, {temperature: 0, yieldEogToken: true})) {
        written.push(token);
        if (written.length === count) break;
    }
    return written;
}

async function probabilities(sequence, tokens, size) {
    const steps = await sequence.controlledEvaluate(
        tokens.map((token) => [token, {generateNext: {probabilities: true, options: {temperature: 1, topK: 0, topP: 1,
            minP: 0}}}]));
    return steps.map(({next}) => {
        const row = new Array(size).fill(0);
        for (const [token, p] of next.probabilities) row[token] = p;
        return row;
    });
}

async function answer({file, texts, prompts, count, paths}) {
    const model = await llama.loadModel({modelPath: file, gpuLayers: 0});
    const size = model.fileInfo.metadata.tokenizer.ggml.tokens.length;
    const ids = texts.map((text) => model.tokenize(text, true));
    const continuations = [], rows = [];
    for (const prompt of prompts)
        continuations.push(await withSequence(model, (s) => continuation(s, prompt, count)));
    for (const tokens of paths)
        rows.push(await withSequence(model, (s) => probabilities(s, tokens, size)));
    await model.dispose();
    return {ids, continuations, probabilities: rows};
}

const answers = [];
for (const entry of JSON.parse(fs.readFileSync(request, "utf8"))) answers.push(await answer(entry));
fs.writeFileSync(result, JSON.stringify(answers));
process.exit(0);
