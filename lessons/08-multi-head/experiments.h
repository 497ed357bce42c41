// The experiments of lesson 08 that have a file of their own.
#pragma once

#include <string>
#include <vector>

#include "lessons/support/demo.h"
#include "tinygpt/model/attention_maps.h"

namespace tinygpt::lessons {

// A layer of attention by whole matrices, head by head: what the lesson begins with.
// out [T, NH * HS], qkv [T, (NH + 2 NKV) * HS]; the probabilities go to p [NH, T, T].
void naive_heads(std::vector<float>& out, std::vector<float>& p, const std::vector<float>& qkv,
                 int T, int NH, int NKV, int HS);

// demo_worked.cpp
void worked(const std::vector<Option>& options);
void worked_backward(const std::vector<Option>& options);
// demo_maps.cpp: shades and a table of habits in the terminal, and a picture of all heads.
void print_maps(const std::vector<std::string>& tokens, const AttentionMaps& maps);
void print_habits(const std::vector<std::string>& tokens, const AttentionMaps& maps);
void write_maps(const std::string& path, const std::vector<std::string>& tokens,
                const AttentionMaps& maps);
// demo_questions.cpp
void two_questions(const std::vector<Option>& options);
// demo_look.cpp
void look(const std::vector<Option>& options);
void pictures(const std::vector<Option>& options);

}  // namespace tinygpt::lessons
