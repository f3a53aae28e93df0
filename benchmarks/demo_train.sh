# A tiny model learns from scratch which way a shape moves. Run by `make demo-train`, in an empty folder.
phi3v-data sample ucf101 videos
phi3v-data convert ucf101 --source videos --out_dir data --num_frames 2
phi3v-data validate data
phi3v-train new-tiny tiny
phi3v-train --data_dir data --model_name_or_path tiny --num_crops 1 --batch_size 8 --batch_size_per_gpu 8 --max_steps 200 \
    --learning_rate 8e-3 --no_gradient_checkpointing --logging_steps 20 --save_steps 100 --no_tqdm --output_dir out
phi3v-train eval out --split test --max_new_tokens 12 --batch_size_per_gpu 8
