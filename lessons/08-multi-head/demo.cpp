// The experiments of lesson 08.
#include "lessons/support/demo.h"
#include "lessons/08-multi-head/experiments.h"

using namespace tinygpt::lessons;

int main(int argc, char** argv) {
  const Option model{"model", "a model's folder", "models/demo"};
  const Option text{"text", "a sentence", "Lily was a small girl with red hair. Lily liked"};
  return run_demo(argc, argv, "Lesson 08: several heads in one product",
                  {{"worked", "the numbers of the lesson's worked example", worked},
                   {"backward", "the gradient of one query of the worked example", worked_backward},
                   {"questions",
                    "two questions for a layer with one head and with more",
                    two_questions,
                    {{"steps", "steps for each layer", "600"}}},
                   {"look",
                    "what each head of a trained model looks at",
                    look,
                    {model,
                     text,
                     {"shades", "the maps in the terminal, too: yes or no", "yes"},
                     {"picture", "where to draw them", "lessons-out/08-look.svg"}}},
                   {"pictures",
                    "a trained model's heads and its loss curve, as ./course demo draws them",
                    pictures,
                    {model, text, {"folder", "where to draw them", "lessons-out"}}}});
}
