import subprocess
import sys


def run(code):
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)


def test_import_brings_in_no_backend():
    run(
        "import sys, keras_t3d, keras_t3d.data.conversion.encode, keras_t3d.cli\n"
        "assert not {'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules), sys.modules"
    )


def test_models_load_whatever_is_imported_first(model_path):
    load = f"keras.saving.load_model({str(model_path)!r})"
    run(f"import keras_t3d, keras; {load}")
    run(f"import keras, keras_t3d; {load}")
    run(f"import keras_t3d.layers, keras; {load}")


def test_a_missing_name_is_an_attribute_error():
    import keras_t3d

    assert not hasattr(keras_t3d, "nothing")
    assert "models" in dir(keras_t3d)
