# Solutions pass, exercises are not written yet, mutants are rejected.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_test(NAME "exercises: fresh" COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/write-exercises --check)
set_tests_properties("exercises: fresh" PROPERTIES SKIP_RETURN_CODE 77)
file(GLOB lessons CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/lessons/*/lesson.json)
foreach(lesson ${lessons})
  get_filename_component(lesson ${lesson} DIRECTORY)
  get_filename_component(lesson ${lesson} NAME)
  add_test(NAME "lesson: ${lesson}"
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/lesson_test.py ${CMAKE_BINARY_DIR} ${lesson})
  add_test(NAME "mutants: ${lesson}"
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/mutants/mutants_test.py ${CMAKE_BINARY_DIR} ${lesson})
  set_tests_properties("lesson: ${lesson}" "mutants: ${lesson}" PROPERTIES TIMEOUT 300)
  file(GLOB kernels CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/solutions/${lesson}/*.cu)
  if(kernels AND TINYGPT_SIMT_CHECKED)
    set_tests_properties("lesson: ${lesson}" "mutants: ${lesson}" PROPERTIES LABELS emulated)
  endif()
endforeach()
add_test(NAME "course: grading" COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/grading_test.py
  ${CMAKE_BINARY_DIR})
set_tests_properties("course: grading" PROPERTIES TIMEOUT 300)
add_test(NAME "course: watch" COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/watch_test.py)
set_tests_properties("course: watch" PROPERTIES TIMEOUT 600)
